package import ApusCheckpoint
package import ApusErrors
package import ApusExecution
import ApusTensor

/// The modules behind a network that Apus did not write: padded token states in, one vector for each sequence out.
package enum PoolingGraph {
    /// Token states, `[B, S, H]` fp32.
    package static let input = "token_states"

    /// Throws `unsupported_model` when `modules` hold no pooling.
    package static func describe(width: Int, _ modules: [SentenceModule]) throws(ApusError) -> GraphDescription {
        var writer = GraphWriter(.fusedFP32)
        let states = writer.input(input, .float32, [.symbolic("B"), .symbolic("S"), .fixed(width)])
        let rows = writer.apply("Reshape", [states, writer.literal([-1, Int64(width)])])
        try writer.sentenceModules(rows, width: width, modules)
        return writer.graph
    }
}
