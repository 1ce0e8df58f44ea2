extension Encoding {
    /// Cuts the texts on the right until at most `maxTokens` tokens are left, and keeps the special tokens.
    ///
    /// Of a pair the longer text is cut first, as `tokenizers` does by "longest first".
    ///
    /// - Parameter maxTokens: the limit, special tokens included. Below the number of special tokens, those are all that
    ///   is left, and they are cut too.
    package mutating func truncate(to maxTokens: Int) {
        guard ids.count > maxTokens else { return }
        let limit = max(maxTokens, 0)
        let specials = runs.reduce(0) { $0 + ($1.origin == .special ? $1.count : 0) }
        let (first, second) = Self.lengths(
            textLength(.first), textLength(.second), limit: max(limit - specials, 0))

        var kept: [Int32] = []
        kept.reserveCapacity(limit)
        var keptRuns: [Run] = []
        var position = 0
        for run in runs {
            let share =
                switch run.origin {
                case .special: run.count
                case .first: min(run.count, first)
                case .second: min(run.count, second)
                }
            // A template may hold a text twice; the limit still holds.
            let count = min(share, limit - kept.count)
            if count > 0 {
                kept += ids[position..<position + count]
                keptRuns.append(Run(origin: run.origin, typeID: run.typeID, count: count))
            }
            position += run.count
        }
        ids = kept
        runs = keptRuns
    }

    private func textLength(_ origin: Run.Origin) -> Int {
        runs.reduce(0) { max($0, $1.origin == origin ? $1.count : 0) }
    }

    /// The encoding cut as by ``truncate(to:)``.
    package func truncated(to maxTokens: Int) -> Encoding {
        var copy = self
        copy.truncate(to: maxTokens)
        return copy
    }

    /// What of two texts of the given lengths stays when `limit` tokens are left for both.
    private static func lengths(_ first: Int, _ second: Int, limit: Int) -> (Int, Int) {
        guard first + second > limit else { return (first, second) }
        if second == 0 { return (limit, 0) }
        if first == 0 { return (0, limit) }
        var shorter = min(first, second)
        var longer = shorter > limit ? shorter : max(shorter, limit - shorter)
        if shorter + longer > limit {
            shorter = limit / 2
            longer = shorter + limit % 2
        }
        return first > second ? (longer, shorter) : (shorter, longer)
    }
}
