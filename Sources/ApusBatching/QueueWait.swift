/// The cause of a refusal: how long until what was refused would have room.
package struct QueueWait: Error, Sendable, Equatable {
    /// Seconds, above 0.
    package let seconds: Double

    package init(seconds: Double) {
        self.seconds = seconds
    }
}

extension QueueWait: CustomStringConvertible {
    /// Whole milliseconds, so that a message stays readable.
    package var description: String {
        "room is expected in \(Int(exactly: (min(max(seconds, 0), 1e9) * 1000).rounded(.up)) ?? 0) ms"
    }
}
