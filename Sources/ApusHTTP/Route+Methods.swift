import ApusService
import NIOHTTP1

/// What the router and the OpenAPI document know of every route.
extension ServiceMetrics.Route {
    /// Those it answers; where GET is, HEAD goes too. Empty for what is no route.
    var methods: [HTTPMethod] {
        switch self {
        case .embeddings, .rerank, .classify, .similarity: [.POST]
        case .deviceProbe, .deviceClearCache, .deviceProfile, .devicesClearCache, .modelLoad, .modelUnload: [.POST]
        case .documentsDelete, .collectionSearch, .collectionCompact: [.POST]
        case .collections, .documents: [.GET, .POST]
        case .collection, .document: [.GET, .DELETE]
        case .models, .model, .devices, .device, .live, .ready, .metrics, .openAPI: [.GET]
        case .unknown: []
        }
    }

    func answers(_ method: HTTPMethod) -> Bool { methods.contains(method) || method == .HEAD && methods.contains(.GET) }

    /// As the header `Allow` has it.
    var allowed: String { methods.map { $0 == .GET ? "GET, HEAD" : $0.rawValue }.joined(separator: ", ") }

    /// What the model that it asks must be made for; nil for those that ask none, or not always.
    var task: ModelDescription.Task? {
        switch self {
        case .embeddings, .similarity: .embedding
        case .rerank: .rerank
        case .classify: .classify
        default: nil
        }
    }

    /// Of these a key must have one. Nil for what everyone may ask.
    func scopes(_ method: HTTPMethod) -> Set<AccessKey.Scope>? {
        switch self {
        case .live: nil
        case .embeddings, .rerank, .classify, .similarity: [.infer]
        case .collection where method == .DELETE: [.admin]
        case .collections, .collection, .documents, .document, .documentsDelete, .collectionSearch, .collectionCompact: [.infer]
        case .models, .model: [.infer, .admin]
        case .devices, .device, .metrics: [.metrics, .admin]
        case .deviceProbe, .deviceClearCache, .deviceProfile, .devicesClearCache, .modelLoad, .modelUnload: [.admin]
        case .ready, .openAPI, .unknown: Set(AccessKey.Scope.allCases)
        }
    }
}
