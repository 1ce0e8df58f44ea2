import ApusService
import NIOHTTP1

extension OpenAPI.Document {
    /// What `method` does at `route`; nil where nothing is. The compiler asks for every route.
    func operation(_ route: ServiceMetrics.Route, _ method: HTTPMethod) -> OpenAPI.Operation? {
        switch route {
        case .embeddings: embeddings
        case .rerank: rerank
        case .classify: classify
        case .similarity: similarity
        case .models: listModels
        case .model: getModel
        case .modelLoad: changeModel("loadModel", "Put a configured model into service")
        case .modelUnload: changeModel("unloadModel", "Take a model out of service and give its memory back")
        case .devices: listDevices
        case .device: getDevice
        case .deviceProbe: probeDevice
        case .deviceClearCache: clearCache
        case .deviceProfile: profileDevice
        case .devicesClearCache: clearCaches
        case .collections: method == .POST ? createCollection : listCollections
        case .collection: method == .DELETE ? dropCollection : describeCollection
        case .documents: method == .POST ? writeDocuments : listDocuments
        case .document: method == .DELETE ? deleteDocument : getDocument
        case .documentsDelete: deleteDocuments
        case .collectionSearch: searchCollection
        case .collectionCompact: compactCollection
        case .live: live
        case .ready: ready
        case .metrics: metrics
        case .openAPI: openAPI
        case .unknown: nil
        }
    }
}
