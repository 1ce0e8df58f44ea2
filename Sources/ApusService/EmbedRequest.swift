/// What a client asks for: vectors of some inputs by a named model.
package struct EmbedRequest: Sendable {
    package var model: String
    package var inputs: [EmbeddingInput]
    /// Elements each vector is cut to. Nil: as many as the model gives.
    package var dimensions: Int?
    package var options: EmbeddingOptions

    package init(
        model: String,
        inputs: [EmbeddingInput],
        dimensions: Int? = nil,
        options: EmbeddingOptions = EmbeddingOptions()
    ) {
        self.model = model
        self.inputs = inputs
        self.dimensions = dimensions
        self.options = options
    }
}
