package import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
package import ApusErrors
package import ApusExecution
import ApusGraph
import ApusORT
import ApusRuntime
import ApusTensor
import ApusTokenizers

/// The engine and the device of this process, and how models come onto it. One is enough for any number of models: they share its lanes.
package final class EngineRoom: Sendable {
    package let installation: Installation
    /// The engine's own version, `1.31.1`.
    package let engineVersion: String
    package let engineLibrary: String
    package var device: DeviceID { executor.device }
    package var laneCount: Int { executor.laneCount }
    private let executor: InProcessExecutor
    private let answers: KnownAnswerStore
    private let optimization: LoadRequest.Optimization

    /// Loads the engine. Throws `engine_missing` or `engine_incompatible`.
    package init(
        installation: Installation, lanes: Int = CoreCount.available, optimization: LoadRequest.Optimization = .all
    ) throws(ApusError) {
        let engine = try Engine.open(libraryPath: try installation.engineLibrary())
        self.installation = installation
        self.optimization = optimization
        engineVersion = engine.version
        engineLibrary = engine.libraryPath
        executor = InProcessExecutor(engine: engine, laneCount: lanes)
        answers = KnownAnswerStore(directory: installation.cacheDirectory("known-answers"))
    }

    /// Loads the model in `directory` and proves it against its known answer.
    ///
    /// Throws `unsupported_precision`, the checkpoint's and the tokenizer's errors, the engine's, and `wrong_answer` when
    /// the loaded model does not compute what the plain fp32 graph of the same weights computes.
    package func load(
        directory: String, precision: Precision = .auto, limits: BatchLimits, name: String? = nil,
        maxTokens: Int? = nil
    ) async throws(ApusError) -> ReadyModel {
        guard precision == .auto || precision == .fp32 else {
            throw ApusError(
                .unsupportedPrecision, "models run in fp32 on \(device), \(precision.rawValue) is not available on it",
                advice: "Use --precision fp32 or auto")
        }
        // Files are read and hashed on a lane's thread: that blocks, and Swift's cooperative pool is not for blocking.
        let (checkpoint, tokenizer, sha256) = try await onLane { () throws(ApusError) in
            let checkpoint = try Checkpoint(directory: directory)
            return (checkpoint, try Tokenizer(contentsOf: checkpoint.tokenizerPath), try checkpoint.weightsSHA256())
        }
        let encoder = try await SentenceEncoder.load(checkpoint, onto: executor, optimization: optimization)
        let proof = try await prove(
            encoder, checkpoint, tokenizer, KnownAnswerStore.Key(weights: sha256, directory: directory))
        checkpoint.releaseMappedPages()
        let name = name ?? checkpoint.name
        let embedder = TextEmbedder(
            checkpoint, tokenizer: tokenizer, encoder: encoder, executor: executor, limits: limits,
            metrics: EmbeddingMetrics(model: name), maxTokens: maxTokens)
        return ReadyModel(
            name: name, directory: directory, embedder: embedder, precision: .fp32, device: device, weightsSHA256: sha256,
            cosineToKnownAnswer: proof)
    }

    private func prove(
        _ encoder: SentenceEncoder, _ checkpoint: Checkpoint, _ tokenizer: Tokenizer, _ key: KnownAnswerStore.Key
    ) async throws(ApusError) -> Double {
        let maxTokens = checkpoint.maxTokens
        let answer: KnownAnswer
        if let stored = answers.answer(key) {
            answer = stored
        } else {
            let plain = try await SentenceEncoder.load(checkpoint, onto: executor, style: .plain, optimization: .none)
            answer = try await onLane { () throws(ApusError) in
                try KnownAnswer.compute(plain, tokenizer, maxTokens: maxTokens)
            }
            answers.store(answer, key)
        }
        let cosine = try await onLane { () throws(ApusError) in
            try answer.lowestCosine(encoder, tokenizer, maxTokens: maxTokens)
        }
        guard let cosine, cosine >= Self.floor else {
            throw ApusError(
                .wrongAnswer,
                "the loaded model's known answer has a cosine of \(cosine.map { "\($0)" } ?? "nothing") to the plain fp32 graph's, the floor is \(Self.floor)",
                place: checkpoint.name)
        }
        return cosine
    }

    /// The lowest cosine at which fp32 counts as right.
    private static let floor = 0.9999

    private func onLane<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        let result = await withCheckedContinuation { continuation in
            executor.submit(to: 0) {
                continuation.resume(returning: Result { () throws(ApusError) in try work() })
            }
        }
        return try result.get()
    }
}
