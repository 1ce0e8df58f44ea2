import ApusErrors

/// Which models there are.
struct ModelsOperation: Sendable {
    let catalog: any ModelCatalog

    func list() -> [ModelDescription] { catalog.models }

    func find(_ id: String) throws(ApusError) -> ModelDescription {
        // Byte for byte: Swift's == would take two spellings of one accented letter for the same name.
        guard let model = catalog.models.first(where: { $0.id.utf8.elementsEqual(id.utf8) }) else {
            throw ApusError(.modelNotFound, "there is no model \(ClientText.quoted(id))", place: "model")
        }
        return model
    }
}
