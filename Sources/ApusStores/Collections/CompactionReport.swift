/// What a compaction did.
package struct CompactionReport: Sendable, Hashable {
    /// Deleted and replaced documents whose room was freed.
    package var removed: Int
    package var bytesBefore: Int
    package var bytesAfter: Int

    package init(removed: Int, bytesBefore: Int, bytesAfter: Int) {
        (self.removed, self.bytesBefore, self.bytesAfter) = (removed, bytesBefore, bytesAfter)
    }
}
