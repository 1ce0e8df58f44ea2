/// How much was computed in the last minute. Times are nanoseconds on the caller's clock.
package struct RecentWork: Sendable {
    private struct Second: Sendable {
        var number = -1
        var count = 0
    }

    /// One place for each second of the minute; a place is used again a minute later.
    private var seconds = [Second](repeating: Second(), count: Self.length)
    private var first: Int?
    private static let length = 60

    package init() {}

    package mutating func record(_ count: Int, now: Int) {
        let number = max(0, now / 1_000_000_000)
        let place = number % Self.length
        if seconds[place].number != number { seconds[place] = Second(number: number) }
        seconds[place].count += count
        first = first ?? number
    }

    /// The mean over the last minute, or over the time since the first record while that is shorter.
    package func perSecond(now: Int) -> Double {
        guard let first else { return 0 }
        let number = max(0, now / 1_000_000_000)
        let oldest = number - Self.length + 1
        let count = seconds.reduce(0) { $0 + ((oldest...number).contains($1.number) ? $1.count : 0) }
        return Double(count) / Double(max(1, min(Self.length, number - first + 1)))
    }
}
