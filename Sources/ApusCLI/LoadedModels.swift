import Apus
import ApusErrors
import ApusService
import Synchronization

/// The models a server was told to serve, from named to ready.
final class LoadedModels: ModelCatalog {
    /// One model of the command line or the configuration, its directory found.
    struct Named: Sendable {
        var id: String
        var directory: String
    }

    private let order: [String]
    private let device: String
    private let served = Mutex<[[UInt8]: ServedModel]>([:])

    init(_ named: [Named], device: String) {
        order = named.map(\.id)
        self.device = device
    }

    func add(_ model: ReadyModel) {
        let model = ServedModel(model)
        served.withLock { $0[Array(model.description.id.utf8)] = model }
    }

    func entry(_ id: String) -> CatalogEntry? {
        if let model = model(id) { return .ready(model) }
        // A model that fails to load ends the server, so one that is not here yet is loading.
        return order.contains { $0.utf8.elementsEqual(id.utf8) } ? .loading(retryAfter: 1) : nil
    }

    var models: [ModelDescription] {
        order.compactMap { model($0)?.description }
    }

    var readiness: [ModelReadiness] {
        order.map { id in
            guard let description = model(id)?.description else {
                return ModelReadiness(model: id, device: device, state: .loading)
            }
            return ModelReadiness(model: id, device: device, state: .ready, cosine: description.cosineToFP32)
        }
    }

    private func model(_ id: String) -> ServedModel? {
        served.withLock { $0[Array(id.utf8)] }
    }
}
