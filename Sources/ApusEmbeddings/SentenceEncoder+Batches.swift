package import ApusErrors
package import ApusGraph
import ApusScheduling

extension EncoderBatch.Sequence: BatchInput {
    package var tokens: Int { ids.count }
    package var identity: EncoderBatch.Sequence? { self }
}

extension SentenceEncoder: BatchWork {
    /// One vector for each sequence, of ``dimensions`` elements. Throws what ``run(_:)-(EncoderBatch)`` throws.
    package func run(_ sequences: [EncoderBatch.Sequence]) throws(ApusError) -> [ArraySlice<Float>] {
        try run(EncoderBatch(sequences)) { vectors in
            sequences.indices.map { Array(vectors[($0 * dimensions)..<(($0 + 1) * dimensions)])[...] }
        }
    }
}
