package import ApusErrors
package import ApusStores

/// Where the collections of a server are kept.
package protocol CollectionSource: Sendable {
    /// The store, opened when it is first asked for. One that could not be opened is tried again when it is asked for later.
    /// - Throws: `.storeUnavailable`, `.storeCorrupt`.
    func store() async throws(ApusError) -> any CollectionStore
}
