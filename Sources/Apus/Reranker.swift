import ApusCheckpoint
import ApusEmbeddings
public import ApusErrors
public import ApusTensor

/// Tells how well documents fit a query, in this process: a cross-encoder reads the query and a document together.
///
/// ```swift
/// let reranker = try await Reranker.load("models/ms-marco-MiniLM-L6-v2")
/// let best = try await reranker.rank("How do swifts sleep?", ["On the wing.", "Interest rates rose."]).first
/// ```
///
/// One reranker serves any number of tasks at once; what they ask at the same moment shares batches.
public final class Reranker: Scorer {
    public let scoring: ScoringModel

    /// Loads a reranker and proves it against its known answer.
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
    ) async throws(ApusError) -> Reranker {
        Reranker(try await ScoringModel.load(model, for: .rerank, precision, floor: precisionFloor, batching, installation, execution))
    }

    init(_ scoring: ScoringModel) {
        self.scoring = scoring
    }

    /// Orders documents by their scores, the best first; equal ones in the order they came in.
    ///
    /// Query and document are one input of at most ``maxTokens``. What is too much is cut from the right of the longer of the two, as transformers'
    /// `longest_first` does, so that a query of less than half of that stays whole.
    ///
    /// - Parameters:
    ///   - priority: Whose turn it is where the batching knows classes.
    ///   - deadline: When the answer stops being of use; nil waits for ever.
    /// - Throws: what ``Embedder/embed(_:priority:deadline:)-([String],_,_)`` throws.
    public func rank(
        _ query: String, _ documents: [String], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [RankedDocument] {
        let rows = try await scoring.rows(documents.map { .pair(query, $0) }, priority, deadline)
        let ranked = rows.enumerated().map { index, row in
            RankedDocument(
                index: index, score: scoring.classifier.scores(of: row.logits).first ?? 0, logit: row.logits.first ?? 0, tokens: row.count.run,
                originalTokens: row.count.original)
        }
        return ranked.sorted { ($0.score, $1.index) > ($1.score, $0.index) }
    }
}

/// How well one document fits the query.
public struct RankedDocument: Sendable {
    /// Where it stood among the documents.
    public let index: Int
    /// As the model's files say, for most from 0 to 1.
    public let score: Float
    /// What the network gave.
    public let logit: Float
    /// Tokens of query and document that were run.
    public let tokens: Int
    /// Tokens that both have.
    public let originalTokens: Int
    /// Whether the pair was cut.
    public var truncated: Bool { tokens < originalTokens }
}
