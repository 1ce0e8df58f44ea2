extension RegexSyntaxTree {
    /// Whether an expression can match nothing, and how gladly.
    enum Emptiness {
        /// It always reads something.
        case never
        /// It matches nothing when there is nothing better.
        case lastResort
        /// It may match nothing although it could read something.
        case preferred
    }

    var emptiness: Emptiness {
        switch self {
        case .scalar:
            return .never
        case .empty, .lookahead, .lookbehind, .endOfText:
            return .lastResort
        case .sequence(let items):
            let parts = items.map(\.emptiness)
            return parts.contains(.never) ? .never : parts.contains(.preferred) ? .preferred : .lastResort
        case .alternatives(let branches):
            let parts = branches.map(\.emptiness)
            if parts.allSatisfy({ $0 == .never }) { return .never }
            return parts.dropLast().allSatisfy { $0 == .never } ? parts.last ?? .lastResort : .preferred
        case .repetition(let body, let repetition):
            if body.emptiness == .preferred { return .preferred }
            if repetition.minimum > 0 { return body.emptiness }
            return repetition.isGreedy || repetition.maximum == 0 ? .lastResort : .preferred
        }
    }
}
