package import ApusErrors

/// When a collection is compacted without being asked: a validated value.
package struct CompactionPolicy: Sendable, Hashable {
    /// Deleted and replaced documents as a share of all rows, above 0 and at most 1.
    package let share: Double
    /// Deleted and replaced documents below which compacting is not worth it.
    package let minimum: Int

    /// Half of at least 1,000.
    package static let standard = CompactionPolicy(unchecked: 0.5, minimum: 1_000)

    private init(unchecked share: Double, minimum: Int) {
        (self.share, self.minimum) = (share, minimum)
    }

    /// Throws `invalid_configuration`.
    package init(share: Double, minimum: Int = standard.minimum) throws(ApusError) {
        guard share > 0, share <= 1 else {
            throw ApusError(.invalidConfiguration, "\(share) is no share above 0 and up to 1", place: "collections.compact_at")
        }
        guard minimum >= 1 else {
            throw ApusError(.invalidConfiguration, "\(minimum) is below 1", place: "collections.compact_min")
        }
        self.init(unchecked: share, minimum: minimum)
    }

    func isDue(rows: Int, deleted: Int) -> Bool {
        deleted >= minimum && Double(deleted) >= share * Double(rows)
    }
}
