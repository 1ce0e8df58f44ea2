package import ApusErrors
package import ApusVectors

/// What a collection is made with and stays: a validated value.
package struct CollectionSettings: Sendable, Hashable {
    package let dimensions: Int
    package let metric: VectorMetric
    /// How vectors are scanned. All but fp32 keep the fp32 vectors too, by which the best are scored again.
    package let storage: VectorStorage
    /// The model whose vectors these are; nil where vectors come from elsewhere.
    package let model: String?
    /// The SHA-256 of that model's weights; nil where it is not known.
    package let weights: String?

    /// Throws `invalid_value` for dimensions outside 1...``VectorRows/maxDimensions`` and for a model or fingerprint of more than 512 bytes or
    /// none.
    package init(
        dimensions: Int, metric: VectorMetric = .cosine, storage: VectorStorage = .fp32, model: String? = nil, weights: String? = nil
    ) throws(ApusError) {
        _ = try VectorFormat(dimensions: dimensions, storage: storage)
        for (name, text) in [("model", model), ("weights", weights)] {
            guard let text else { continue }
            guard (1...512).contains(text.utf8.count) else {
                throw ApusError(.invalidValue, "1 to 512 bytes are wanted, not \(text.utf8.count)", place: name)
            }
        }
        (self.dimensions, self.metric, self.storage, self.model, self.weights) = (dimensions, metric, storage, model, weights)
    }

    /// Throws `model_mismatch` when vectors of this model say nothing about those of the collection: its weights are others or, where either
    /// fingerprint is unknown, its name is. A collection that names no model takes every model of its dimensions.
    package func expect(model: String, weights: String?, dimensions: Int, of name: CollectionName) throws(ApusError) {
        let isSame =
            if let own = self.weights, let weights { own == weights } else { self.model.map { $0.utf8.elementsEqual(model.utf8) } ?? true }
        guard isSame else {
            throw ApusError(
                .modelMismatch,
                self.model.map { $0.utf8.elementsEqual(model.utf8) } == true
                    ? "the vectors of '\(name)' were made by other weights of '\(model)'"
                    : "the vectors of '\(name)' were made by '\(self.model ?? "another model")', not by '\(model)'",
                place: "model", advice: "Use the model of the collection, or index the texts again into a new one")
        }
        guard dimensions == self.dimensions else {
            throw ApusError(
                .modelMismatch, "'\(model)' makes vectors of \(dimensions) dimensions, those of '\(name)' have \(self.dimensions)",
                place: "model")
        }
    }
}
