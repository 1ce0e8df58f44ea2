/// Decides when the memory that steps have left behind is given back: after a burst, be it that nothing runs or that what runs is small.
///
/// Pure: every event brings its time, in nanoseconds on a clock of the caller's that never goes back.
package struct MemoryTrim: Sendable {
    /// What to do after a look.
    package enum Decision: Sendable, Equatable {
        /// Nothing was left behind; look again after the next step.
        case rest
        /// Look again at this time.
        case wait(until: Int)
        /// Give back what is unused now, and look again at this time, if any.
        case release(then: Int?)
    }

    /// Without a step for this long the burst is over. Longer than the pauses of a client that asks once a second, so that only a
    /// client that asks more rarely pays for new pages.
    package static let idleNanoseconds = 4_000_000_000
    /// Steps are looked at over this long before they count as small.
    package static let windowNanoseconds = 8_000_000_000
    /// A step is small when the largest before it was this many times its size: what it needs is then little of what is held.
    package static let fall = 4
    /// Less than this is kept: taking it again would cost more than it is worth.
    package static let leastBytes = 8 << 20

    /// Bytes of the largest step since memory was last given back; nil when there was none.
    private var largest: Int?
    /// Bytes of the largest step since ``windowStart``.
    private var recent = 0
    private var windowStart = 0
    private var lastStep = 0

    package init() {}

    /// - Parameter bytes: of the step's tensors, which what it computes in grows with.
    package mutating func stepEnded(bytes: Int, now: Int) {
        if largest == nil { windowStart = now }
        largest = max(largest ?? 0, bytes)
        recent = max(recent, bytes)
        lastStep = max(lastStep, now)
    }

    /// - Parameter unused: bytes that are held and that no step uses.
    package mutating func look(unused: Int, now: Int) -> Decision {
        guard let largest else { return .rest }
        if now - lastStep >= Self.idleNanoseconds {
            self.largest = nil
            recent = 0
            return unused >= Self.leastBytes ? .release(then: nil) : .rest
        }
        if now - windowStart < Self.windowNanoseconds { return .wait(until: nextLook) }
        let isSmall = recent <= largest / Self.fall
        if isSmall { self.largest = recent }
        recent = 0
        windowStart = now
        return isSmall && unused >= Self.leastBytes ? .release(then: nextLook) : .wait(until: nextLook)
    }

    /// When steps have ended, or their window has, whichever is first.
    private var nextLook: Int {
        min(lastStep + Self.idleNanoseconds, windowStart + Self.windowNanoseconds)
    }
}
