package import ApusErrors

/// Named collections of documents with vectors: in files of this machine (``LocalCollections``) or in a database that several share.
///
/// What a call was answered for is kept: a process that is killed afterwards loses none of it. Every call may also throw
/// `collection_not_found`, `store_unavailable` (no room, read-only, in use by another process, a server away), `store_corrupt` (what was
/// stored does not read back as it was written) and `cancelled`. What is wrong with one collection concerns no other.
package protocol CollectionStore: Sendable {
    /// The collections by name, those that cannot be opened included; ascending.
    func names() async throws(ApusError) -> [CollectionName]

    /// Throws `collection_exists`.
    func create(_ name: CollectionName, _ settings: CollectionSettings) async throws(ApusError) -> CollectionDescription

    func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription

    /// Deletes the collection with all that is in it. One that is corrupt can be dropped, too.
    func drop(_ name: CollectionName) async throws(ApusError)

    /// Stores all documents or none, and returns when they are durable.
    ///
    /// Throws what ``DocumentBatch`` refuses, and in ``WriteMode/add`` `document_exists`.
    func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt

    /// The documents of these ids in their order; nil for ids that there are not.
    func documents(_ ids: [String], of name: CollectionName, including parts: DocumentParts) async throws(ApusError) -> [StoredDocument?]

    /// A part of the documents in the order of their ids' bytes. Throws `invalid_value` for a limit outside ``DocumentListing/limits``.
    func list(_ listing: DocumentListing, of name: CollectionName) async throws(ApusError) -> DocumentPage

    /// Deletes documents, all or none, and returns how many there were.
    func delete(_ selection: DocumentSelection, from name: CollectionName) async throws(ApusError) -> Int

    /// The nearest documents of each query, the best first; of those that are equally near, the one written earlier first, where a document
    /// that is replaced counts as written anew. Exact, also with a filter.
    ///
    /// Throws `invalid_value` for queries of other dimensions, queries that are not finite, too many of them, and a k below 1 or too large.
    func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]]

    /// Frees what deleted and replaced documents take, while searches and writes go on.
    func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport

    /// Ends what runs and lets go of files and connections. Calls that come later throw `store_unavailable`.
    func close() async
}
