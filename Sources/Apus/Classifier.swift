import ApusCheckpoint
import ApusEmbeddings
public import ApusErrors
public import ApusTensor

/// Sorts texts, or pairs of texts, under labels, in this process.
///
/// ```swift
/// let classifier = try await Classifier.load("models/sentiment")
/// let label = try await classifier.classify(["What a day!"]).first?.label
/// ```
///
/// One classifier serves any number of tasks at once; what they ask at the same moment shares batches.
public final class Classifier: Scorer {
    /// The labels, in the order of the network's logits.
    public var labels: [String] { scoring.classifier.labels }

    public let scoring: ScoringModel

    /// Loads a classifier and proves it against its known answer.
    ///
    /// - Parameters:
    ///   - model: The path of a model directory, or the name of an installed model.
    ///   - precision: The arithmetic. ``Precision/auto`` takes what is measured to be fastest on this machine and near enough to fp32.
    ///   - precisionFloor: The lowest ``agreementWithFP32`` that is served, 0 to 1; nil leaves each precision its own: 0.9999, int8 0.99, int4 0.95.
    ///   - batching: How texts that are asked for at the same moment become batches.
    ///   - installation: Where the engine and installed models are looked for.
    ///   - execution: In this process, or in workers that can fail without it.
    /// - Throws: `unsupported_task` for another kind of model, and what
    ///   ``Embedder/load(_:precision:precisionFloor:batching:installation:execution:)`` throws.
    public static func load(
        _ model: String, precision: Precision = .auto, precisionFloor: Double? = nil, batching: Batching = .dynamic(),
        installation: Installation = Installation(), execution: Execution = .inProcess
    ) async throws(ApusError) -> Classifier {
        Classifier(try await ScoringModel.load(model, for: .classify, precision, floor: precisionFloor, batching, installation, execution))
    }

    init(_ scoring: ScoringModel) {
        self.scoring = scoring
    }

    /// Classifies texts, which are cut at the right where they are longer than ``maxTokens``.
    ///
    /// - Parameters:
    ///   - priority: Whose turn it is where the batching knows classes.
    ///   - deadline: When the answer stops being of use; nil waits for ever.
    /// - Throws: what ``Embedder/embed(_:priority:deadline:)-([String],_,_)`` throws.
    public func classify(
        _ texts: [String], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [Classification] {
        try await classify(texts.map { .text($0) }, priority, deadline)
    }

    /// Classifies pairs, a premise and a hypothesis for instance. Of a pair that is too long the longer text is cut.
    public func classify(
        pairs: [(String, String)], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [Classification] {
        try await classify(pairs.map { .pair($0.0, $0.1) }, priority, deadline)
    }

    private func classify(
        _ inputs: [TextInput], _ priority: RequestPriority, _ deadline: ContinuousClock.Instant?
    ) async throws(ApusError) -> [Classification] {
        try await scoring.rows(inputs, priority, deadline).map { row in
            Classification(
                labels: labels, scores: scoring.classifier.scores(of: row.logits), logits: Array(row.logits), tokens: row.count.run,
                originalTokens: row.count.original)
        }
    }
}

/// What a classifier says of one input.
public struct Classification: Sendable {
    /// The label of the highest score; of equal ones the first.
    public var label: String { best.map { labels[$0] } ?? "" }
    /// The highest score.
    public var score: Float { best.map { scores[$0] } ?? 0 }
    public let labels: [String]
    /// One for each label. They sum to 1 where one label is right, and each is from 0 to 1 of its own where several may be.
    public let scores: [Float]
    /// What the network gave.
    public let logits: [Float]
    /// Tokens that were run.
    public let tokens: Int
    /// Tokens the input has.
    public let originalTokens: Int
    /// Whether the input was cut.
    public var truncated: Bool { tokens < originalTokens }

    private var best: Int? { scores.indices.max { (scores[$0], $1) < (scores[$1], $0) } }
}
