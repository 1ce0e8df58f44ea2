/// When a device that does not serve is tried again, carried as the `cause` of a `no_device` error.
package struct NextAttempt: Error, Sendable, CustomStringConvertible {
    /// Nil when none is tried by itself.
    package let time: ContinuousClock.Instant?

    /// What a client is told to wait for an operator, seconds.
    private static let operatorSeconds = 30

    package init(at time: ContinuousClock.Instant?) {
        self.time = time
    }

    /// In how many whole seconds, 1 or more.
    package func seconds(after now: ContinuousClock.Instant = .now) -> Int {
        guard let time else { return Self.operatorSeconds }
        let (seconds, attoseconds) = (time - now).components
        return max(1, Int(seconds) + (attoseconds > 0 ? 1 : 0))
    }

    package var description: String {
        time == nil ? "no device is tried again by itself" : "the next attempt is due in \(seconds()) s"
    }
}
