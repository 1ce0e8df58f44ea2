import Apus
import ApusBatching
import ApusDevices
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusScheduling
import ApusService
import ApusTensor
import Logging
import NIOConcurrencyHelpers

/// The models a server was told to serve, from named to ready and out of service, and the devices they are on.
final class LoadedModels: ModelCatalog {
    private enum Standing: Sendable {
        case loading
        case ready(ServedModel)
        /// It takes nothing more and answers what it took.
        case unloading
        case unloaded
        /// It could not be loaded again.
        case failed(ApusError)

        var isReady: Bool {
            if case .ready = self { true } else { false }
        }

        var mayLoad: Bool {
            switch self {
            case .unloaded, .failed: true
            case .loading, .ready, .unloading: false
            }
        }
    }

    private let plan: [ServeSettings.PlannedModel]
    /// The devices that models have for themselves to run on, by the models' names.
    private let assignments: [String: DeviceID]
    private let room: EngineRoom
    /// The keys that clients come with.
    private let clients: [ClientKey]
    /// Whether what was computed for one key is remembered for that key alone.
    private let isCachePerKey: Bool
    private let logger: Logger
    /// By the bytes of the models' names.
    private let standings: NIOLockedValueBox<[[UInt8]: Standing]>

    init(
        _ plan: [ServeSettings.PlannedModel], assignments: [String: DeviceID], room: EngineRoom, clients: [ClientKey], cachePerKey: Bool, logger: Logger
    ) {
        isCachePerKey = cachePerKey
        self.clients = clients
        self.plan = plan
        self.assignments = assignments
        self.room = room
        self.logger = logger
        standings = NIOLockedValueBox(Dictionary(plan.map { (Array($0.id.utf8), .loading) }) { first, _ in first })
    }

    /// Loads every model, one after the other. Throws why one could not be loaded.
    func loadAll() async throws(ApusError) {
        for model in plan { try await load(model) }
        logger.info("every model gave its known answer")
    }

    func entry(_ id: String) -> CatalogEntry? {
        switch standing(id) {
        case .loading: .loading(retryAfter: 1)
        case .ready(let model): .ready(model)
        case .unloading: .unloading
        case .unloaded: .unloaded
        case .failed(let error): .failed(reason: error.message)
        case nil: nil
        }
    }

    var models: [ModelDescription] {
        plan.compactMap { model($0.id)?.description }
    }

    var ready: [any EmbeddingModel] {
        plan.compactMap { model($0.id) }
    }

    var readiness: [ModelReadiness] {
        let devices = room.fleet.status().devices.filter { ($0.role == .intended || $0.isServing) && $0.isUnit }
        return plan.flatMap { model in devices.map { readiness(of: model.id, on: $0) } }
    }

    /// The models that take work on `device` now.
    func served(on device: DeviceID) -> [String] {
        plan.map(\.id).filter { model($0)?.devices.contains(device) == true }
    }

    /// Nothing happens to a model that is being unloaded, either.
    func load(_ id: String) async throws(ApusError) {
        guard let model = plan.first(where: { $0.id.utf8.elementsEqual(id.utf8) }) else { throw Self.unknown(id) }
        guard begin(.loading, id, where: { $0.mayLoad }) else { return }
        // Carried through, also when the operator gives up waiting.
        try await Task { () async -> Result<Void, ApusError> in
            do throws(ApusError) {
                return .success(try await self.load(model))
            } catch {
                self.logger.error("\(id) could not be loaded again: \(error)")
                self.put(id, .failed(error))
                return .failure(error)
            }
        }.value.get()
    }

    /// Nothing happens to a model that is not in service.
    func unload(_ id: String) async throws(ApusError) {
        guard standing(id) != nil else { throw Self.unknown(id) }
        guard begin(.unloading, id, where: { $0.isReady }) else { return }
        logger.info("\(id) is being unloaded")
        do throws(ApusError) {
            try await room.unload(id)
        } catch {
            // The fleet does not have it, so that nothing is left to unload.
            guard error.code == .modelNotFound else { throw error }
        }
        put(id, .unloaded)
        logger.info("\(id) was unloaded")
    }

    private func load(_ model: ServeSettings.PlannedModel) async throws(ApusError) {
        let started = ContinuousClock.now
        let ready = try await room.load(
            directory: model.directory, precision: model.precision, policy: model.batching, name: model.id, maxTokens: model.maxTokens,
            segments: model.segments, only: assignments[model.id])
        for client in clients { ready.embedder.scheduler.limit(client: client.number, seconds: client.queueSeconds) }
        put(model.id, .ready(ServedModel(ready, cachePerKey: isCachePerKey)))
        let milliseconds = Int(started.duration(to: .now) / .milliseconds(1))
        let unit = ready.embedder.classifier == nil ? "dimensions" : "labels"
        logger.info(
            "\(model.id) is ready on \(ready.standing), \(ready.embedder.dimensions) \(unit), loaded in \(milliseconds) ms")
    }

    private func readiness(of id: String, on device: FleetStatus.Device) -> ModelReadiness {
        let name = device.device.description
        switch standing(id) {
        case .unloaded, .unloading: return ModelReadiness(model: id, device: name, state: .unloaded)
        case .failed(let error): return ModelReadiness(model: id, device: name, state: .failed, detail: error.message)
        case .ready(let model) where model.devices.contains(device.device):
            return ModelReadiness(model: id, device: name, state: .ready, cosine: model.cosines[device.device], detail: device.standsInFor)
        case .ready, .loading, nil:
            guard device.isServing || device.fallback != .none else { return ModelReadiness(model: id, device: name, state: .loading) }
            return ModelReadiness(
                model: id, device: name, state: .away, detail: "\(device.stage.rawValue): \(device.lastReason?.text ?? "not loaded")")
        }
    }

    private static func unknown(_ id: String) -> ApusError {
        ApusError(.modelNotFound, "there is no model '\(id)'", place: "model")
    }

    private func standing(_ id: String) -> Standing? {
        standings.withLockedValue { $0[Array(id.utf8)] }
    }

    private func model(_ id: String) -> ServedModel? {
        if case .ready(let model) = standing(id) { model } else { nil }
    }

    private func put(_ id: String, _ standing: Standing) {
        standings.withLockedValue { $0[Array(id.utf8)] = standing }
    }

    /// Changes how a model stands, where it stands as asked.
    private func begin(_ standing: Standing, _ id: String, where isFit: (Standing) -> Bool) -> Bool {
        standings.withLockedValue { standings in
            guard let current = standings[Array(id.utf8)], isFit(current) else { return false }
            standings[Array(id.utf8)] = standing
            return true
        }
    }
}

extension FleetStatus.Device {
    /// For a stand-in, what its clients are told.
    fileprivate var standsInFor: String? {
        servesAs.flatMap { $0 == .none ? nil : "stands in, fallback is \($0.rawValue)" }
    }
}
