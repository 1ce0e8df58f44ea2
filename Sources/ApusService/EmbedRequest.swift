package import ApusErrors

/// What a client asks for: vectors of some inputs by a named model.
package struct EmbedRequest: Sendable {
    package var model: String
    package var inputs: [EmbeddingInput]
    /// Elements each vector is cut to. Nil: as many as the model gives.
    package var dimensions: Int?
    package var options: EmbeddingOptions
    /// Inputs that could be read but never be right, by their index: what stands for them in ``inputs`` is not looked at.
    package var faults: [Int: ApusError]

    package init(
        model: String,
        inputs: [EmbeddingInput],
        dimensions: Int? = nil,
        options: EmbeddingOptions = EmbeddingOptions(),
        faults: [Int: ApusError] = [:]
    ) {
        self.model = model
        self.inputs = inputs
        self.dimensions = dimensions
        self.options = options
        self.faults = faults
    }
}
