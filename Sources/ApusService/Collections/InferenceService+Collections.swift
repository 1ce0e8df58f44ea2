package import ApusErrors
package import ApusStores

// What takes a deadline throws `.deadlineExceeded` when that comes first; a change may have been made nevertheless. Everything here also throws `.notFound` where the server keeps no collections, `.insufficientScope`, `.shuttingDown`, and what
// ``CollectionStore`` says.
extension InferenceService {
    package func listCollections(
        until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) -> [ListedCollection] {
        let run = try collections(caller)
        return try await telling { try await CollectionsOperation(run: run, deadline: deadline).list() }
    }

    /// - Throws: `.invalidValue`, `.modelNotFound`, `.modelLoading`, `.unsupportedTask`, `.collectionExists`.
    package func createCollection(
        _ request: CreateCollectionRequest, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) -> CollectionDescription {
        let run = try collections(caller)
        return try await telling { try await CreateCollectionOperation(run: run, deadline: deadline).run(request) }
    }

    package func describeCollection(
        _ name: CollectionName, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) -> CollectionDescription {
        let run = try collections(caller)
        return try await telling { try await CollectionsOperation(run: run, deadline: deadline).describe(name) }
    }

    /// Only for those who may administer.
    package func dropCollection(
        _ name: CollectionName, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) {
        let run = try collections(caller, .admin)
        try await telling { try await CollectionsOperation(run: run, deadline: deadline).drop(name) }
    }

    package func compactCollection(
        _ name: CollectionName, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) -> CompactionReport {
        let run = try collections(caller)
        return try await telling { try await CollectionsOperation(run: run, deadline: deadline).compact(name) }
    }

    /// - Throws: as ``embed(_:for:)`` does of the texts; `.modelMismatch`, `.documentExists`.
    package func writeDocuments(
        _ request: WriteDocumentsRequest, for caller: Caller = .anyone
    ) async throws(ApusError) -> WriteDocumentsReply {
        let run = try collections(caller)
        var request = request
        request.options = Self.capped(request.options, caller)
        return try await telling { try await WriteDocumentsOperation(run: run).run(request) }
    }

    /// - Throws: `.invalidValue` for the limit.
    package func listDocuments(
        _ listing: DocumentListing, of name: CollectionName, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) -> DocumentPage {
        let run = try collections(caller)
        return try await telling { try await DocumentsOperation(run: run, deadline: deadline).list(listing, of: name) }
    }

    /// - Throws: `.documentNotFound`.
    package func findDocument(
        _ id: String, in name: CollectionName, _ parts: DocumentParts = [.text, .metadata], until deadline: ContinuousClock.Instant? = nil,
        for caller: Caller = .anyone
    ) async throws(ApusError) -> StoredDocument {
        let run = try collections(caller)
        return try await telling { try await DocumentsOperation(run: run, deadline: deadline).find(id, in: name, parts) }
    }

    /// - Throws: `.documentNotFound`.
    package func deleteDocument(
        _ id: String, from name: CollectionName, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) {
        let run = try collections(caller)
        try await telling { try await DocumentsOperation(run: run, deadline: deadline).delete(id, from: name) }
    }

    /// - Returns: how many there were.
    package func deleteDocuments(
        _ selection: DocumentSelection, from name: CollectionName, until deadline: ContinuousClock.Instant? = nil, for caller: Caller = .anyone
    ) async throws(ApusError) -> Int {
        let run = try collections(caller)
        return try await telling { try await DocumentsOperation(run: run, deadline: deadline).delete(selection, from: name) }
    }

    /// - Throws: as ``embed(_:for:)`` does of the queries; `.modelMismatch`, `.invalidValue`.
    package func search(_ request: SearchRequest, for caller: Caller = .anyone) async throws(ApusError) -> SearchReply {
        let run = try collections(caller)
        var request = request
        request.options = Self.capped(request.options, caller)
        return try await telling { try await SearchOperation(run: run).run(request) }
    }

    private func collections(_ caller: Caller, _ scope: AccessKey.Scope = .infer) throws(ApusError) -> CollectionRun {
        guard !isDraining else { throw Self.shuttingDown }
        try caller.require(anyOf: [scope])
        guard let collections else { throw ApusError(.notFound, "this server keeps no collections") }
        return collections
    }
}
