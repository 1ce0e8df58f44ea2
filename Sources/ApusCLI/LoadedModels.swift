import Apus
import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusService
import ApusTensor
import NIOConcurrencyHelpers

/// The models a server was told to serve, from named to ready, and the devices they are on.
final class LoadedModels: ModelCatalog {
    /// One model of the command line or the configuration, its directory found.
    struct Named: Sendable {
        var id: String
        var directory: String
    }

    private let order: [String]
    private let fleet: Fleet
    private let served = NIOLockedValueBox<[[UInt8]: ServedModel]>([:])

    init(_ named: [Named], fleet: Fleet) {
        order = named.map(\.id)
        self.fleet = fleet
    }

    func add(_ model: ReadyModel) {
        let model = ServedModel(model)
        served.withLockedValue { $0[Array(model.description.id.utf8)] = model }
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
        let devices = fleet.status().devices.filter { $0.role == .intended || $0.isServing }
        return order.flatMap { id in
            let model = model(id)
            return devices.map { readiness(of: id, model, on: $0) }
        }
    }

    /// The models that take work on `device` now.
    func served(on device: DeviceID) -> [String] {
        order.filter { model($0)?.devices.contains(device) == true }
    }

    private func readiness(of id: String, _ model: ServedModel?, on device: FleetStatus.Device) -> ModelReadiness {
        let name = device.device.description
        if let model, model.devices.contains(device.device) {
            return ModelReadiness(model: id, device: name, state: .ready, cosine: model.cosines[device.device], detail: device.standsInFor)
        }
        guard device.isServing || device.fallback != .none else { return ModelReadiness(model: id, device: name, state: .loading) }
        return ModelReadiness(
            model: id, device: name, state: .away, detail: "\(device.stage.rawValue): \(device.lastReason?.text ?? "not loaded")")
    }

    private func model(_ id: String) -> ServedModel? {
        served.withLockedValue { $0[Array(id.utf8)] }
    }
}

extension FleetStatus.Device {
    /// For a stand-in, what its clients are told.
    fileprivate var standsInFor: String? {
        servesAs.flatMap { $0 == .none ? nil : "stands in, fallback is \($0.rawValue)" }
    }
}
