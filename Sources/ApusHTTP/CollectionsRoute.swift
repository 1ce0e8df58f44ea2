import ApusErrors
import ApusJSON
import ApusService
import ApusStores
import NIOCore
import NIOHTTP1

/// `/v1/collections` and what lies under it: wire to request, result to wire.
struct CollectionsRoute {
    enum Target {
        case all
        case one(String)
        case documents(String)
        case document(String, id: String)
        case delete(String)
        case search(String)
        case compact(String)

        /// - Parameter segments: of the path, those after `/v1/collections`. A document's id may hold slashes, encoded.
        init?(_ segments: ArraySlice<String>) {
            guard let name = segments.first else {
                self = .all
                return
            }
            guard !name.isEmpty else { return nil }
            let rest = Array(segments.dropFirst())
            switch rest {
            case []: self = .one(name)
            case ["documents"]: self = .documents(name)
            case ["delete"]: self = .delete(name)
            case ["search"]: self = .search(name)
            case ["compact"]: self = .compact(name)
            default:
                guard rest.count == 2, rest[0] == "documents", !rest[1].isEmpty else { return nil }
                self = .document(name, id: rest[1])
            }
        }

        var route: ServiceMetrics.Route {
            switch self {
            case .all: .collections
            case .one: .collection
            case .documents: .documents
            case .document: .document
            case .delete: .documentsDelete
            case .search: .collectionSearch
            case .compact: .collectionCompact
            }
        }
    }

    let service: InferenceService
    let maxInputs: Int

    /// - Parameter request: its method is one of the target's.
    func answer(
        _ request: HTTPRequest, on found: Target, at target: RequestTarget, arrival: ContinuousClock.Instant
    ) async throws(ApusError) -> HTTPReply {
        let (caller, method) = (request.caller, request.head.method)
        let deadline = try RequestHeaders(request.head.headers, arrival: arrival).deadline
        switch found {
        case .all where method == .POST:
            let order = try CollectionsBody(try RequestBody(request, arrival: arrival)).create()
            return .json(status: 201, CollectionsAnswer.one(try await service.createCollection(order, until: deadline, for: caller)))
        case .all:
            return .json(CollectionsAnswer.list(try await service.listCollections(until: deadline, for: caller)))
        case .one(let text) where method == .DELETE:
            let name = try CollectionName(text)
            try await service.dropCollection(name, until: deadline, for: caller)
            return .json(CollectionsAnswer.dropped(name))
        case .one(let text):
            return .json(CollectionsAnswer.one(try await service.describeCollection(try CollectionName(text), until: deadline, for: caller)))
        case .documents(let text) where method == .POST:
            return try await write(try RequestBody(request, arrival: arrival), into: try CollectionName(text), caller)
        case .documents(let text):
            let name = try CollectionName(text)
            let page = try await service.listDocuments(try Self.listing(try target.query()), of: name, until: deadline, for: caller)
            return .json(CollectionsAnswer.page(page))
        case .document(let text, let id) where method == .DELETE:
            let name = try CollectionName(text)
            try await service.deleteDocument(id, from: name, until: deadline, for: caller)
            return .json(CollectionsAnswer.deleted(1, from: name))
        case .document(let text, let id):
            let parts = try Self.parts(try target.query())
            let document = try await service.findDocument(id, in: try CollectionName(text), parts, until: deadline, for: caller)
            return .json(CollectionsAnswer.document(document))
        case .delete(let text):
            let name = try CollectionName(text)
            let selection = try CollectionsBody(try RequestBody(request, arrival: arrival)).selection(maxInputs: maxInputs)
            let count = try await service.deleteDocuments(selection, from: name, until: deadline, for: caller)
            return .json(CollectionsAnswer.deleted(count, from: name))
        case .search(let text):
            return try await search(try RequestBody(request, arrival: arrival), in: try CollectionName(text), caller)
        case .compact(let text):
            let name = try CollectionName(text)
            return .json(CollectionsAnswer.compacted(try await service.compactCollection(name, until: deadline, for: caller), name))
        }
    }

    private func write(_ body: RequestBody, into name: CollectionName, _ caller: Caller) async throws(ApusError) -> HTTPReply {
        let order = try CollectionsBody(body).write(into: name, maxInputs: maxInputs)
        let provenance = try body.wantsProvenance()
        let reply = try await service.writeDocuments(order, for: caller)
        return .json(
            headers: reply.model == nil ? [] : reply.summary.headers(failures: nil),
            CollectionsAnswer.written(reply, into: name, provenance: provenance))
    }

    private func search(_ body: RequestBody, in name: CollectionName, _ caller: Caller) async throws(ApusError) -> HTTPReply {
        let order = try CollectionsBody(body).search(in: name)
        let provenance = try body.wantsProvenance()
        let reply = try await service.search(order, for: caller)
        return .json(
            headers: reply.model == nil ? [] : reply.summary.headers(failures: nil),
            CollectionsAnswer.found(reply, in: name, provenance: provenance))
    }

    private static func listing(_ query: QueryParameters) throws(ApusError) -> DocumentListing {
        var listing = DocumentListing(after: try query["after"], parts: try parts(query))
        if let limit = try query.integer("limit") { listing.limit = limit }
        if let filter = try query["filter"] { listing.filter = try Self.filter(filter) }
        return listing
    }

    private static func filter(_ text: String) throws(ApusError) -> MetadataFilter {
        do throws(ApusError) {
            return try MetadataFilter(parsing: Array(text.utf8))
        } catch {
            var told = error
            // Of what is no JSON the line and column are told, which are no part of a parameter's name.
            told.place = error.place.map { String($0.prefix { $0 != "," }) }
            throw told
        }
    }

    private static func parts(_ query: QueryParameters) throws(ApusError) -> DocumentParts {
        guard let include = try query["include"] else { return [.text, .metadata] }
        return try CollectionsBody.parts(include.split(separator: ",").map(String.init), place: "include")
    }
}
