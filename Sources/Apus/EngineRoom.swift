package import ApusBatching
package import ApusCheckpoint
package import ApusDevices
import ApusEmbeddings
package import ApusErrors
package import ApusExecution
package import ApusFleet
import ApusGraph
import ApusORT
import ApusScheduling
package import ApusTensor
import ApusTokenizers
package import ApusVectors
package import Logging

/// The devices of this installation and how models come onto them. One is enough for any number of models: they share the lanes.
package final class EngineRoom: Sendable {
    package let installation: Installation
    package let engineLibrary: String
    package let fleet: Fleet
    /// What is counted of the devices.
    package let metrics: DeviceMetrics
    /// What each device's memory is promised to.
    package let memory: DeviceMemoryBook
    let optimization: LoadRequest.Optimization
    let logger: Logger
    /// What is remembered of texts; nil for nothing.
    package let cache: EmbeddingCache?
    /// Who shares which device's lanes.
    let lanes = LaneBook()
    let ceilings: BatchCeilings
    let members: [FleetPlan.Member]
    /// How devices share models; nil where each device holds whole ones.
    let parallel: ParallelPlan?
    let trials: PrecisionTrials
    private let source: any ExecutorSource
    private let answers: KnownAnswerStore

    /// Finds the engine and starts the devices of `plan`; nil is one CPU device with a lane for each core. Throws `engine_missing`.
    package init(
        installation: Installation, plan: FleetPlan? = nil, execution: Execution = .inProcess,
        optimization: LoadRequest.Optimization = .all, cache: EmbeddingCache? = nil, logger: Logger = Logger(label: "apus.devices")
    ) throws(ApusError) {
        let library = try installation.engineLibrary()
        self.installation = installation
        self.optimization = optimization
        self.logger = logger
        self.cache = cache
        engineLibrary = library
        answers = KnownAnswerStore(directory: installation.cacheDirectory("known-answers"))
        source = execution.source(engineLibrary: library)
        metrics = DeviceMetrics()
        let plan = if let plan { plan } else { try FleetPlan.wholeCPU(engineLibrary: library) }
        members = plan.members
        parallel = plan.parallel
        trials = PrecisionTrials(installation: installation, engineLibrary: library, execution: execution, optimization: optimization)
        memory = DeviceMemoryBook(plan)
        // Out of memory by injection says nothing about the device.
        let isReal = plan.members.allSatisfy { $0.faults == nil }
        ceilings = BatchCeilings(directory: isReal ? installation.cacheDirectory("batch-ceilings") : nil)
        fleet = Fleet(plan, source: source, logger: logger, metrics: metrics)
        fleet.start()
    }

    /// Loads the model in `directory` onto the devices and proves it against its known answer.
    ///
    /// - Parameters:
    ///   - device: the one intended device that it goes on; nil for all.
    ///   - task: what it must be made for; nil for anything.
    ///
    /// Throws `unsupported_task`, `unsupported_precision` for a precision that a device does not have or that does not reach its floor there, the checkpoint's and
    /// the tokenizer's errors, the engine's, `unsupported_plan` for more segments than layers and for those of an ONNX file, `insufficient_memory`,
    /// `no_device`, and `wrong_answer` when the loaded model does not compute what the plain fp32 graph
    /// of the same weights computes.
    package func load(
        directory: String, precision: PrecisionRequest = PrecisionRequest(), policy: BatchPolicy, name: String? = nil,
        maxTokens: Int? = nil, weight: Double = 1, segments: SegmentRequest = .automatic, only device: DeviceID? = nil,
        for task: ModelTask? = nil
    ) async throws(ApusError) -> ReadyModel {
        let subject = try await BlockingWork.run { () throws(ApusError) in
            let checkpoint = try Checkpoint(directory: directory)
            try Self.check(checkpoint, for: task)
            try segments.check(checkpoint)
            let subject = try PrecisionSubject(directory: directory)
            try subject.checkTokenTypes()
            return subject
        }
        let (checkpoint, tokenizer) = (subject.checkpoint, subject.tokenizer)
        let key = KnownAnswerStore.Key(weights: subject.weights, files: subject.files)
        let forms = try await forms(of: subject, precision, only: device)
        let place = { (answer: ApusEmbeddings.KnownAnswer) async throws(ApusError) -> ReadyModel in
            try await self.place(
                subject, forms, answer, policy, name: name ?? checkpoint.name, maxTokens: maxTokens, weight: weight, segments, only: device)
        }
        if let stored = answers.answer(key) {
            // A stored answer may come from an older Apus or a damaged disk: only a fresh one counts against the model.
            do throws(ApusError) {
                return try await place(stored)
            } catch {
                guard error.code == .wrongAnswer else { throw error }
            }
        }
        let answer = try await reference(checkpoint, tokenizer)
        let ready = try await place(answer)
        answers.store(answer, key)
        return ready
    }

    /// Takes a model out of service while others serve: what it had accepted is answered, then its memory goes back to the system. Throws
    /// `model_not_found`.
    package func unload(_ name: String) async throws(ApusError) {
        try await fleet.unload(name)
        Engine.returnFreedPages()
    }

    /// Ends the devices. What still runs fails.
    package func shutdown() async {
        await fleet.shutdown()
        await cache?.close()
    }

    private func place(
        _ subject: PrecisionSubject, _ forms: [DeviceID: ServedForm], _ answer: ApusEmbeddings.KnownAnswer, _ policy: BatchPolicy, name: String,
        maxTokens: Int?, weight: Double, _ segments: SegmentRequest, only device: DeviceID?
    ) async throws(ApusError) -> ReadyModel {
        let (checkpoint, tokenizer, weights) = (subject.checkpoint, subject.tokenizer, subject.weights)
        guard let dimensions = answer.vectors.first?.count else {
            throw ApusError(.wrongAnswer, "the known answer holds no vector", place: name)
        }
        let metrics = BatchMetrics(model: name)
        let recipe = EncoderRecipe(
            checkpoint: checkpoint, tokenizer: tokenizer, answer: answer, optimization: optimization, forms: forms, dimensions: dimensions,
            cuts: try cuts(of: checkpoint, segments, only: device))
        let choices = SegmentChoices()
        let scheduler: BatchScheduler<SentenceEncoder> = scheduler(
            name, policy, weight: weight, metrics: metrics, weights: weights) { choices.label(recipe.served(on: $0), on: $0) }
        let devices = intended(only: device)
        let embedder = TextEmbedder(
            checkpoint, tokenizer: tokenizer, dimensions: dimensions, metrics: metrics, maxTokens: maxTokens, scheduler: scheduler,
            cache: modelCache(
                subject, name: name, precisions: devices.map { recipe.served(on: $0).precision }, dimensions: dimensions, maxTokens: maxTokens))
        let placed = PlacedModel(
            name: name, recipe, scheduler: scheduler,
            needs: ModelMemory(checkpoint, policy: policy, maxTokens: embedder.maxTokens), segments: segments, choices: choices,
            weights: weights,
            room: .init(memory: memory, lanes: lanes, ceilings: ceilings), only: device)
        try await fleet.add(placed)
        return ReadyModel(placed, embedder, directory: checkpoint.directory, weightsSHA256: weights, planned: devices)
    }

    /// What the model remembers of texts; of a classifier nothing, since its inputs are pairs with ever new queries.
    private func modelCache(
        _ subject: PrecisionSubject, name: String, precisions: [Precision], dimensions: Int, maxTokens: Int?
    ) -> ModelCache? {
        guard let cache, subject.checkpoint.classifier == nil else { return nil }
        return ModelCache(
            cache, .init(name: name, weights: subject.weights, files: subject.files, precisions: precisions), dimensions: dimensions,
            maxTokens: max(1, min(subject.checkpoint.maxTokens, maxTokens ?? .max)))
    }

    /// The queue of one model, which remembers how large its batches may become.
    func scheduler<Work: BatchWork>(
        _ name: String, _ policy: BatchPolicy, weight: Double, metrics: BatchMetrics, weights: String,
        label: @escaping @Sendable (DeviceID) -> String
    ) -> BatchScheduler<Work> {
        let ceilings = ceilings
        return BatchScheduler(model: name, policy: policy, weight: weight, metrics: metrics, observer: fleet) { device, tokens in
            ceilings.store(tokens, .init(weights: weights, device: device, form: label(device)))
        }
    }

    /// What the plain fp32 graph computes on the CPU.
    private func reference(_ checkpoint: Checkpoint, _ tokenizer: Tokenizer) async throws(ApusError) -> ApusEmbeddings.KnownAnswer {
        try await withReferenceExecutor { executor throws(ApusError) in
            let plain = try await SentenceEncoder.load(checkpoint, onto: executor, form: .plainFP32, optimization: .none)
            return try await executor.prepare { () throws(ApusError) in
                try ApusEmbeddings.KnownAnswer.compute(plain, tokenizer, of: .few(for: checkpoint))
            }
        }
    }

    /// Hands `body` a CPU to compute references on, in an executor that is gone afterwards with all its memory.
    func withReferenceExecutor<Value: Sendable>(
        _ body: (any Executor) async throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        try await source.withExecutor(ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: engineLibrary), body)
    }
}
