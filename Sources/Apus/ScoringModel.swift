import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusScheduling
import ApusTensor

/// A loaded sequence classifier and the rows of logits it gives, behind ``Reranker`` and ``Classifier``. What can be told of it is told by
/// ``Scorer``.
public struct ScoringModel: Sendable {
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

    /// Loads `model`, alone in a room of its own.
    /// - Throws: as ``Reranker/load(_:precision:precisionFloor:batching:installation:execution:)`` does.
    static func load(
        _ model: String, for task: ModelTask, _ precision: Precision, floor: Double?, _ batching: Batching,
        _ installation: Installation, _ execution: Execution
    ) async throws(ApusError) -> ScoringModel {
        // Everything that can be wrong without the engine is told before it is started.
        _ = try installation.modelDirectory(model)
        let policy = try batching.policy()
        let request = try PrecisionRequest(precision, checkedFloor: floor)
        let owner = OwnedRoom(try EngineRoom(installation: installation, execution: execution))
        return try await ScoringModel(model, for: task, request, policy, in: owner)
    }

    /// Loads `model` into a room that others may share.
    /// - Parameters:
    ///   - name: what the room calls it; nil for its own name.
    ///   - weight: the model's part of the devices' time, above 0.
    /// - Throws: `model_not_found`, `unsupported_task`, and what loading throws.
    init(
        _ model: String, for task: ModelTask, _ precision: PrecisionRequest, _ policy: BatchPolicy, in owner: OwnedRoom, name: String? = nil,
        weight: Double = 1
    ) async throws(ApusError) {
        let directory = try owner.room.installation.modelDirectory(model)
        let ready = try await owner.room.load(
            directory: directory, precision: precision, policy: policy, name: name, weight: weight, for: task)
        guard let classifier = ready.embedder.classifier else {
            throw ApusError(.unsupportedTask, "the model changed while it was loaded", place: directory)
        }
        (self.ready, self.classifier, self.owner) = (ready, classifier, owner)
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
