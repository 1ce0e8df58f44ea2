/// What a model is made for, spelled as on the wire.
package enum ModelTask: String, Sendable, Hashable {
    /// A vector for a text.
    case embedding
    /// One number for a pair of texts, which says how well they fit together.
    case rerank
    /// A number for each of some labels.
    case classify
}

extension Checkpoint {
    package var task: ModelTask { classifier?.task ?? .embedding }
}
