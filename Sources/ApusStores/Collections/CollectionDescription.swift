/// A collection as it is at the moment.
package struct CollectionDescription: Sendable, Hashable {
    package var name: CollectionName
    package var settings: CollectionSettings
    package var documents: Int
    /// What it takes of the disk.
    package var bytes: Int
    /// Documents, deleted or replaced, whose room ``CollectionStore/compact(_:)`` would free.
    package var deleted: Int
    /// Milliseconds since 1970-01-01 00:00 UTC.
    package var createdAt: Int
    package var backend: CollectionBackend

    package init(
        name: CollectionName, settings: CollectionSettings, documents: Int, bytes: Int, deleted: Int, createdAt: Int,
        backend: CollectionBackend = .files
    ) {
        (self.name, self.settings, self.documents, self.bytes, self.deleted, self.createdAt, self.backend) =
            (name, settings, documents, bytes, deleted, createdAt, backend)
    }
}
