/// What becomes of the delimiters when a text is split.
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
}

/// Collects the parts of one text, delimiters and what lies between, and makes pieces of them.
struct SplitCollector {
    private let behavior: SplitBehavior
    private var parts: [(range: Range<Int>, isDelimiter: Bool)] = []
    private var end: Int

    /// - Parameter start: where the text starts.
    init(_ behavior: SplitBehavior, from start: Int) {
        self.behavior = behavior
        end = start
    }

    /// Adds a delimiter, and what lies between it and the one before. Ranges ascend and do not overlap.
    @inline(__always)
    mutating func add(delimiter range: Range<Int>, inverted: Bool = false) {
        if end != range.lowerBound { parts.append((end..<range.lowerBound, inverted)) }
        parts.append((range, !inverted))
        end = range.upperBound
    }

    /// Ends the text at `limit` and appends its pieces that are not empty.
    mutating func finish(at limit: Int, inverted: Bool = false, into pieces: inout [Range<Int>]) {
        if end != limit { parts.append((end..<limit, inverted)) }
        switch behavior {
        case .isolated:
            for part in parts where !part.range.isEmpty { pieces.append(part.range) }
        case .removed:
            for part in parts where !part.isDelimiter && !part.range.isEmpty { pieces.append(part.range) }
        case .contiguous:
            merge(into: &pieces) { isDelimiter, wasDelimiter in isDelimiter == wasDelimiter }
        case .mergedWithPrevious:
            merge(into: &pieces) { isDelimiter, wasDelimiter in isDelimiter && !wasDelimiter }
        case .mergedWithNext:
            mergeFromEnd(into: &pieces)
        }
    }

    /// Joins a part to the one before it when `joins` says so; before the first there was no delimiter.
    private func merge(into pieces: inout [Range<Int>], _ joins: (_ isDelimiter: Bool, _ wasDelimiter: Bool) -> Bool) {
        var merged: [Range<Int>] = []
        var wasDelimiter = false
        for part in parts {
            if let last = merged.last, joins(part.isDelimiter, wasDelimiter) {
                merged[merged.count - 1] = last.lowerBound..<part.range.upperBound
            } else {
                merged.append(part.range)
            }
            wasDelimiter = part.isDelimiter
        }
        pieces.append(contentsOf: merged.lazy.filter { !$0.isEmpty })
    }

    private func mergeFromEnd(into pieces: inout [Range<Int>]) {
        var merged: [Range<Int>] = []
        var wasDelimiter = false
        for part in parts.reversed() {
            if let last = merged.last, part.isDelimiter, !wasDelimiter {
                merged[merged.count - 1] = part.range.lowerBound..<last.upperBound
            } else {
                merged.append(part.range)
            }
            wasDelimiter = part.isDelimiter
        }
        pieces.append(contentsOf: merged.reversed().lazy.filter { !$0.isEmpty })
    }
}
