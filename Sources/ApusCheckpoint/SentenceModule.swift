/// One step from the states of tokens to the vector of a text, as sentence-transformers stacks them in modules.json.
package enum SentenceModule: Sendable {
    case pooling(PoolingConfiguration)
    case dense(DenseModule)
    /// Division by the Euclidean norm.
    case normalize
}
