/// For how long somebody served. Times are nanoseconds on the caller's clock.
package struct ServingTime: Sendable {
    private var first: Int?
    private var since: Int?
    private var served = 0

    package init() {}

    package mutating func update(isServing: Bool, now: Int) {
        switch (isServing, since) {
        case (true, nil):
            since = now
            first = first ?? now
        case (false, let start?):
            served += now - start
            since = nil
        default: break
        }
    }

    /// Share of the time since somebody first served, 0 to 1; nil before.
    package func share(now: Int) -> Double? {
        guard let first else { return nil }
        guard now > first else { return since == nil ? 0 : 1 }
        return Double(served + (since.map { now - $0 } ?? 0)) / Double(now - first)
    }
}
