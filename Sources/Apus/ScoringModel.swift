import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusScheduling
import ApusTensor

/// A loaded classifier and the rows of logits it gives, behind ``Reranker`` and ``Classifier``.
struct ScoringModel: Sendable {
    let ready: ReadyModel
    let classifier: SequenceClassifier
    private let owner: OwnedRoom

    /// What one input came to.
    struct Row: Sendable {
        var logits: ArraySlice<Float>
        var count: TokenCount
    }

    /// Texts in flight at once: enough for full batches, few enough that any number of texts fits into the queue.
    private static let window = 2048

    static func load(
        _ task: ModelTask, _ model: String, _ precision: Precision, _ precisionFloor: Double?, _ batching: Batching,
        _ installation: Installation, _ execution: Execution
    ) async throws(ApusError) -> ScoringModel {
        let directory = try installation.modelDirectory(model)
        let policy = try batching.policy()
        let request = try PrecisionRequest(precision, checkedFloor: precisionFloor)
        let owner = OwnedRoom(try EngineRoom(installation: installation, execution: execution))
        let ready = try await owner.room.load(directory: directory, precision: request, policy: policy, for: task)
        guard let classifier = ready.embedder.classifier else {
            throw ApusError(.unsupportedTask, "the model changed while it was loaded", place: directory)
        }
        return ScoringModel(ready: ready, classifier: classifier, owner: owner)
    }

    /// One row for each input, in their order.
    func rows(
        _ inputs: [TextInput], _ priority: RequestPriority, _ deadline: ContinuousClock.Instant?
    ) async throws(ApusError) -> [Row] {
        let options = BatchOptions(deadline: deadline, priority: priority.batching)
        var rows: [Row] = []
        rows.reserveCapacity(inputs.count)
        for start in stride(from: 0, to: inputs.count, by: Self.window) {
            let inputs = Array(inputs[start..<min(start + Self.window, inputs.count)])
            let result = try await ready.embedder.embed(inputs, options: options)
            let width = result.sequences.dimensions
            for (row, count) in result.tokenCounts.enumerated() {
                rows.append(Row(logits: result.sequences.vectors[(row * width)..<((row + 1) * width)], count: count))
            }
        }
        return rows
    }
}
