/// What is loaded at this moment. Answers are snapshots and never wait.
package protocol ModelCatalog: Sendable {
    /// The model of that name, compared byte for byte, in whatever state it is. Nil when there is none.
    func entry(_ id: String) -> CatalogEntry?
    /// Every model that can serve, in the order they were named at start.
    var models: [ModelDescription] { get }
    /// One line for each model on each device, loading and failed ones included.
    var readiness: [ModelReadiness] { get }
}

/// A named model and whether it can be asked.
package enum CatalogEntry: Sendable {
    case ready(any EmbeddingModel)
    /// Still loading: clients are told to come back after `retryAfter` whole seconds (1 or more).
    case loading(retryAfter: Int)
    /// Loading failed, for the reason given.
    case failed(reason: String)
    /// Loaded, but made for another task than embedding.
    case otherTask(ModelDescription)
}

/// Whether one model on one device gives its known answer.
package struct ModelReadiness: Sendable, Equatable {
    package enum State: String, Sendable {
        case loading, ready, failed
        /// The device does not serve now: it is being replaced, or is given up. The detail says why.
        case away
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
