/// How near the logits of one network are to those of another, as a number that compares with a cosine.
///
/// The angle between rows of logits says little: with one label there is none, and a softmax does not see what all labels have in common.
/// What counts is how large errors are beside the differences that the logits make. The cosine of two unit vectors is `1 − ‖a − b‖² / 2`; here
/// the squared error of a row is measured in units of the logits' variance over all rows, `1 − ‖a − b‖² / (2 s²)`. So the floors of
/// precisions mean the same as for embeddings: 0.9999 are errors of 1.4 % of the spread, 0.99 of 14 %.
package struct LogitAgreement: Sendable {
    private let expected: [[Float]]
    /// 2 s².
    private let scale: Double

    /// Rows that all say the same have no spread: rounding is measured by their size then.
    private static let leastSpread = 1e-3
    private static let leastSize = 1e-6

    /// - Parameter expected: rows of one width.
    package init(_ expected: [[Float]]) {
        self.expected = expected
        let rows = Double(max(1, expected.count))
        let width = expected.first?.count ?? 0
        let means = (0..<width).map { label in expected.reduce(0) { $0 + Double($1[label]) } / rows }
        let variance = expected.reduce(0) { $0 + Self.squared($1, means) } / rows
        let size = expected.reduce(0) { $0 + Self.squared($1, [Double](repeating: 0, count: width)) } / rows
        scale = 2 * max(variance, Self.leastSpread * Self.leastSpread * size, Self.leastSize * Self.leastSize)
    }

    /// 1 for the same logits, and at least -1; nil for rows that are not finite.
    package func of(_ row: Int, _ actual: ArraySlice<Float>) -> Double? {
        guard expected.indices.contains(row), expected[row].count == actual.count else { return nil }
        let agreement = 1 - Self.squared(Array(actual), expected[row].map(Double.init)) / scale
        return agreement.isNaN ? nil : max(-1, agreement)
    }

    private static func squared(_ a: [Float], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
    }
}
