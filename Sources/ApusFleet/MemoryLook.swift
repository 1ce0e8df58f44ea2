package import ApusExecution

/// What is known of a device's memory, and when it is asked for again. Times are nanoseconds on the caller's clock.
package struct MemoryLook: Sendable {
    package private(set) var latest: DeviceMemory?
    /// The worker that was asked and has not answered.
    private var asked: Int?
    private var nextLook = 0

    /// From one answer to the next question.
    static let interval = 2_000_000_000

    package init() {}

    /// Whether the worker is to be asked now; it counts as asked then.
    package mutating func isDue(worker: Int, now: Int) -> Bool {
        guard asked != worker, nextLook <= now else { return false }
        asked = worker
        return true
    }

    /// - Parameter memory: nil when the worker did not tell.
    package mutating func answered(_ memory: DeviceMemory?, worker: Int, now: Int) {
        if asked == worker { asked = nil }
        latest = memory
        nextLook = now + Self.interval
    }
}
