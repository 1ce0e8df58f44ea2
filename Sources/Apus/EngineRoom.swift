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
    private let engine: Engine
    private let executor: InProcessExecutor
    private let answers: KnownAnswerStore
    private let optimization: LoadRequest.Optimization

    /// Loads the engine. Throws `engine_missing` or `engine_incompatible`.
    package init(
        installation: Installation, lanes: Int = CoreCount.available, optimization: LoadRequest.Optimization = .all
    ) throws(ApusError) {
        let library = try installation.engineLibrary()
        let engine = try Engine.open(libraryPath: library)
        self.installation = installation
        self.optimization = optimization
        self.engine = engine
        engineVersion = engine.version
        engineLibrary = engine.libraryPath
        executor = try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: lanes, engineLibrary: library), graphs: CheckpointGraphs())
        answers = KnownAnswerStore(directory: installation.cacheDirectory("known-answers"))
    }

    /// The engine's execution providers, most capable first.
    package func providers() throws(ApusError) -> [String] {
        try engine.availableProviders()
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
        // Reading and hashing files blocks, and Swift's cooperative pool is not for blocking.
        let (checkpoint, tokenizer, key) = try await executor.prepare { () throws(ApusError) in
            let checkpoint = try Checkpoint(directory: directory)
            try Self.checkPrompt(checkpoint)
            let key = KnownAnswerStore.Key(weights: try checkpoint.weightsSHA256(), directory: directory)
            return (checkpoint, try Tokenizer(contentsOf: checkpoint.tokenizerPath), key)
        }
        let encoder = try await SentenceEncoder.load(checkpoint, onto: executor, optimization: optimization)
        let proof = try await prove(encoder, checkpoint, tokenizer, key)
        let name = name ?? checkpoint.name
        let embedder = TextEmbedder(
            checkpoint, tokenizer: tokenizer, dimensions: encoder.dimensions, limits: limits,
            metrics: EmbeddingMetrics(model: name), maxTokens: maxTokens)
        embedder.scheduler.open(EncoderReplica(executor: executor, encoder: encoder, precision: Self.precision(of: checkpoint)))
        return ReadyModel(
            name: name, directory: directory, embedder: embedder, precision: Self.precision(of: checkpoint), device: device,
            weightsSHA256: key.weights, cosineToKnownAnswer: proof)
    }

    private func prove(
        _ encoder: SentenceEncoder, _ checkpoint: Checkpoint, _ tokenizer: Tokenizer, _ key: KnownAnswerStore.Key
    ) async throws(ApusError) -> Double {
        if let stored = answers.answer(key), let cosine = try await compare(encoder, to: stored, tokenizer, checkpoint) {
            return cosine
        }
        // Nothing stored, or something that an older Apus or a damaged disk left: only a fresh answer counts against the model.
        let plain = try await SentenceEncoder.load(checkpoint, onto: executor, style: .plain, optimization: .none)
        let answer = try await executor.prepare { () throws(ApusError) in
            try KnownAnswer.compute(plain, tokenizer, maxTokens: checkpoint.maxTokens)
        }
        guard let cosine = try await compare(encoder, to: answer, tokenizer, checkpoint) else {
            throw ApusError(
                .wrongAnswer,
                "the loaded model's known answer differs from the plain fp32 graph's: a cosine of \(Self.floor(Self.precision(of: checkpoint))) or more is wanted",
                place: checkpoint.name, advice: "Try --precision fp32, another engine version, and `apus doctor`")
        }
        answers.store(answer, key)
        return cosine
    }

    /// The lowest cosine of the built-in sentences; nil when it is below the floor.
    private func compare(
        _ encoder: SentenceEncoder, to answer: KnownAnswer, _ tokenizer: Tokenizer, _ checkpoint: Checkpoint
    ) async throws(ApusError) -> Double? {
        let cosine = try await executor.prepare { () throws(ApusError) in
            try answer.lowestCosine(encoder, tokenizer, maxTokens: checkpoint.maxTokens)
        }
        return cosine.flatMap { $0 >= Self.floor(Self.precision(of: checkpoint)) ? $0 : nil }
    }

    /// What a model runs in: fp32 where Apus writes the network, else what its file holds.
    private static func precision(of checkpoint: Checkpoint) -> Precision {
        switch checkpoint.source {
        case .encoder: .fp32
        case .onnx(let file): file.precision
        }
    }

    /// Pooling that leaves a prompt's tokens out needs to know where it ends, which the graphs do not.
    private static func checkPrompt(_ checkpoint: Checkpoint) throws(ApusError) {
        guard checkpoint.defaultPrompt?.isEmpty == false else { return }
        for case .pooling(let pooling) in checkpoint.modules where !pooling.includesPrompt {
            throw ApusError(
                .unsupportedModel, "a default prompt that is left out of pooling (include_prompt: false) is not supported",
                place: checkpoint.name)
        }
    }

    /// The lowest cosine at which a model of this precision counts as right.
    private static func floor(_ precision: Precision) -> Double {
        switch precision {
        case .fp32, .fp16, .bf16, .auto: 0.9999
        case .int8: 0.99
        case .int4: 0.95
        }
    }
}
