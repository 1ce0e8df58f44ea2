package import ApusJSON

extension MetadataFilter {
    package func matches(_ metadata: Metadata) -> Bool {
        switch self {
        case .and(let filters): filters.allSatisfy { $0.matches(metadata) }
        case .or(let filters): filters.contains { $0.matches(metadata) }
        case .not(let filter): !filter.matches(metadata)
        case .field(let path, let comparison): comparison.holds(for: metadata[path])
        }
    }
}

extension MetadataFilter.Comparison {
    /// Whether it holds for the value of a field; nil for a field that is not there.
    package func holds(for value: JSONValue?) -> Bool {
        let scalar = value.flatMap { MetadataScalar($0) }
        switch self {
        case .equal(let other): return scalar?.equals(other) == true
        case .notEqual(let other): return scalar?.equals(other) != true
        case .greater(let other): return scalar?.order(to: other) == .behind
        case .greaterOrEqual(let other): return scalar?.order(to: other).map { $0 != .before } == true
        case .less(let other): return scalar?.order(to: other) == .before
        case .lessOrEqual(let other): return scalar?.order(to: other).map { $0 != .behind } == true
        case .anyOf(let others): return scalar.map { value in others.contains { value.equals($0) } } == true
        case .noneOf(let others): return scalar.map { value in others.contains { value.equals($0) } } != true
        case .exists(let isWanted): return (value != nil) == isWanted
        case .contains(let other):
            guard case .array(let elements) = value else { return false }
            return elements.contains { MetadataScalar($0)?.equals(other) == true }
        }
    }
}
