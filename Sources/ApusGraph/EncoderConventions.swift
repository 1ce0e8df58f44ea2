import Foundation

/// What a family wants of its inputs beyond the tokens themselves.
package struct EncoderConventions: Sendable {
    /// Added to every position: RoBERTa, XLM-RoBERTa and MPNet count from the padding id plus one.
    package var positionOffset: Int32
    package var relativeBuckets: RelativeBuckets

    package init(positionOffset: Int32 = 0, relativeBuckets: RelativeBuckets = RelativeBuckets(count: 32)) {
        self.positionOffset = positionOffset
        self.relativeBuckets = relativeBuckets
    }
}

/// The bucket of a distance between two positions, as T5 and MPNet define it: exact for near positions, logarithmic for far ones.
package struct RelativeBuckets: Sendable {
    /// Buckets for both directions together.
    let count: Int
    /// A quarter of the buckets are exact distances, and the logarithm needs them to end before ``maximumDistance``.
    static let largestCount = 508
    /// `max_distance` of MPNet's `relative_position_bucket`.
    private static let maximumDistance: Float = 128

    package init(count: Int) {
        self.count = count
    }

    /// Buckets for every pair of positions, row-major `[size, size]`: query position, key position.
    func table(size: Int) -> [Int32] {
        // Every row is a part of the same list of distances, which starts one place earlier with every query.
        let byDistance = (1 - max(1, size)..<max(1, size)).map(bucket)
        var table: [Int32] = []
        table.reserveCapacity(size * size)
        for query in 0..<size { table += byDistance[(size - 1 - query)..<(2 * size - 1 - query)] }
        return table
    }

    private func bucket(_ distance: Int) -> Int32 {
        let half = count / 2
        let base = distance > 0 ? half : 0
        let length = abs(distance)
        let exact = half / 2
        guard length >= exact else { return Int32(base + length) }
        let scaled = logf(Float(length) / Float(exact)) / logf(Self.maximumDistance / Float(exact)) * Float(half - exact)
        return Int32(base + min(half - 1, exact + Int(scaled)))
    }
}
