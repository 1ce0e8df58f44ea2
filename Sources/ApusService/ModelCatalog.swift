package import ApusErrors

/// What is loaded at this moment. Answers are snapshots and never wait.
package protocol ModelCatalog: Sendable {
    /// The model of that name, compared byte for byte, in whatever state it is. Nil when there is none.
    func entry(_ id: String) -> CatalogEntry?
    /// Every model that can serve, in the order they were named at start.
    var models: [ModelDescription] { get }
    /// Every model that takes work now, whatever its task.
    var ready: [any EmbeddingModel] { get }
    /// One line for each model on each device, loading and failed ones included.
    var readiness: [ModelReadiness] { get }

    /// Loads the named model; nothing happens to one that is loaded or loading. Returns when the model is ready or when loading has begun:
    /// ``entry(_:)`` tells which.
    /// - Throws: `.modelNotFound` for a name that is not among those the server was started with, and why loading failed.
    func load(_ id: String) async throws(ApusError)

    /// Takes no new work for the named model, answers what was accepted and gives its memory back. Returns when that is done or has begun:
    /// ``entry(_:)`` tells which.
    /// - Throws: `.modelNotFound`.
    func unload(_ id: String) async throws(ApusError)
}

extension ModelCatalog {
    package var ready: [any EmbeddingModel] {
        models.compactMap { if case .ready(let model) = entry($0.id) { model } else { nil } }
    }

    package func load(_ id: String) async throws(ApusError) { throw Self.fixed }
    package func unload(_ id: String) async throws(ApusError) { throw Self.fixed }

    private static var fixed: ApusError { ApusError(.notFound, "this server's models stay as they are while it serves") }
}

/// A named model and whether it can be asked.
package enum CatalogEntry: Sendable {
    case ready(any EmbeddingModel)
    /// Still loading: clients are told to come back after `retryAfter` whole seconds (1 or more).
    case loading(retryAfter: Int)
    /// An operator took it out of service; what it had accepted is still being answered.
    case unloading
    /// An operator took it out of service.
    case unloaded
    /// Loading failed, for the reason given.
    case failed(reason: String)
}

/// Whether one model on one device gives its known answer.
package struct ModelReadiness: Sendable, Equatable {
    package enum State: String, Sendable, CaseIterable {
        case loading, ready, failed
        /// The device does not serve now: it is being replaced, or is given up. The detail says why.
        case away
        /// An operator took the model out of service.
        case unloaded
    }

    package var model: String
    package var device: String
    package var state: State
    /// Cosine of the device's answer to the stored known answer. Nil before the first check.
    package var cosine: Double?
    /// Why it is not ready, for a person.
    package var detail: String?

    package init(model: String, device: String, state: State, cosine: Double? = nil, detail: String? = nil) {
        self.model = model
        self.device = device
        self.state = state
        self.cosine = cosine
        self.detail = detail
    }
}
