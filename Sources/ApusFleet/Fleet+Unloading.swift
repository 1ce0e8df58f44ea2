package import ApusErrors
import NIOConcurrencyHelpers

extension Fleet {
    /// Takes a model out of service while others serve: it gets no new work, what it had accepted is answered, then it leaves all devices. Throws
    /// `model_not_found`.
    package func unload(_ name: String) async throws(ApusError) {
        guard let model = currentModels.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) else {
            throw ApusError(.modelNotFound, "no model of the name '\(name)' is loaded")
        }
        // Carried through, also when whoever asked gives up waiting.
        await Task {
            await model.retire()
            self.remove(model)
        }.value
    }

    /// Whether `model` was not taken off meanwhile.
    func isWanted(_ model: any FleetModel) -> Bool {
        currentModels.contains { $0 === model }
    }
}
