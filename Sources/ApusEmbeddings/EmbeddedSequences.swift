package import ApusErrors
import ApusGraph
package import ApusScheduling
import ApusVectors

/// The vectors of one request and how each was made.
package struct EmbeddedSequences: Sendable {
    package typealias Run = BatchAnswers<ArraySlice<Float>>.Run

    /// Row-major `[count, dimensions]`. Zeros in the rows of ``failures``.
    package var vectors: [Float]
    package let dimensions: Int
    package var runs: [Run]
    /// Why rows have no vector, by row; only where partial results were asked for.
    package var failures: [Int: ApusError] = [:]

    /// - Parameter remembered: the rows that were not computed; no other rows of `answers` mean anything.
    init(_ answers: BatchAnswers<ArraySlice<Float>>, dimensions: Int, remembered: [ModelCache.Remembered?] = []) {
        self.dimensions = dimensions
        runs = answers.runs
        vectors = []
        vectors.reserveCapacity(answers.rows.count * dimensions)
        for (row, result) in answers.rows.enumerated() {
            if row < remembered.count, let known = remembered[row] {
                vectors += known.value.vector
                runs[row] = Run(device: known.value.device, group: known.value.group, precision: known.precision)
                continue
            }
            switch result {
            case .success(let vector):
                vectors += vector
            case .failure(let error):
                vectors += repeatElement(0, count: dimensions)
                failures[row] = error
            }
        }
    }
}
