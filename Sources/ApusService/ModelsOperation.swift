import ApusErrors

/// Which models there are.
struct ModelsOperation: Sendable {
    let catalog: any ModelCatalog

    func list() -> [ModelDescription] { catalog.models }

    func find(_ id: String) throws(ApusError) -> ModelDescription {
        // Byte for byte: Swift's == would take two spellings of one accented letter for the same name.
        guard let model = catalog.models.first(where: { $0.id.utf8.elementsEqual(id.utf8) }) else {
            throw Self.unknown(id)
        }
        return model
    }

    func load(_ id: String) async throws(ApusError) -> ModelState {
        try checkName(id)
        try await catalog.load(id)
        return try state(of: id)
    }

    func unload(_ id: String) async throws(ApusError) -> ModelState {
        try checkName(id)
        try await catalog.unload(id)
        return try state(of: id)
    }

    /// A name that nobody gave at the start must go no further: elsewhere it might be taken for a path.
    private func checkName(_ id: String) throws(ApusError) {
        if catalog.entry(id) == nil { throw Self.unknown(id) }
    }

    private static func unknown(_ id: String) -> ApusError {
        ApusError(.modelNotFound, "there is no model \(ClientText.quoted(id))", place: "model")
    }

    private func state(of id: String) throws(ApusError) -> ModelState {
        let standing: ModelState.Standing
        switch catalog.entry(id) {
        case .ready: standing = .ready
        case .loading: standing = .loading
        case .unloading: standing = .unloading
        case .unloaded: standing = .unloaded
        case .failed(let reason): throw ApusError(.modelFailed, "the model could not be loaded: \(reason)", place: "model")
        case nil: throw Self.unknown(id)
        }
        return ModelState(id: id, standing: standing)
    }
}
