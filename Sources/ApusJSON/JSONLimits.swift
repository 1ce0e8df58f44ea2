/// How much a JSON document may hold before it is refused.
package struct JSONLimits: Sendable {
    /// The deepest nesting of arrays and objects that is accepted; `[]` has depth 1.
    package let depth: Int
    /// The most values a document may hold, containers and their members all counted. It bounds the memory that a
    /// body of many tiny values (`0,0,0,…`) can claim: a value takes 24 bytes against the two of its text.
    package let values: Int

    /// Limits for files and requests: depth 128 and 2^24 values.
    package static let `default` = JSONLimits()

    /// - Parameters:
    ///   - depth: at least 1 and at most 1,024, because the parser recurses; values outside are clamped.
    ///   - values: at least 1; smaller values are clamped.
    package init(depth: Int = 128, values: Int = 1 << 24) {
        self.depth = min(max(depth, 1), 1_024)
        self.values = max(values, 1)
    }
}
