import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
public import ApusErrors
import ApusScheduling
public import ApusTensor
import ApusVectors

/// Turns text into vectors, in this process.
///
/// ```swift
/// let embedder = try await Embedder.load()
/// let vectors = try await embedder.embed(["A swift sleeps on the wing.", "GPUs do not."])
/// ```
///
/// One embedder serves any number of tasks at once; what they ask at the same moment shares batches. ``ModelRuntime`` puts several models on the
/// same devices.
public final class Embedder: Sendable {
    /// The name of the model.
    public var model: String { ready.name }
    /// Elements of one vector.
    public var dimensions: Int { ready.embedder.dimensions }
    /// Tokens of the longest text that is not cut, special tokens included.
    public var maxTokens: Int { ready.embedder.maxTokens }
    /// What the model really runs in; on the first device where they differ.
    public var precision: Precision { ready.precision }
    /// The lowest cosine to plain fp32 over built-in texts that was measured where it runs now; nil while it runs nowhere.
    public var cosineToFP32: Double? { ready.lowestCosine }
    /// Where it runs now. Empty while a device that failed is being replaced.
    public var devices: [DeviceID] { ready.devices }

    let ready: ReadyModel
    private let owner: OwnedRoom

    init(_ ready: ReadyModel, _ owner: OwnedRoom) {
        self.ready = ready
        self.owner = owner
    }

    /// Loads a model and proves it against its known answer.
    ///
    /// - Parameters:
    ///   - model: The path of a model directory, or the name of an installed model.
    ///   - precision: The arithmetic. ``Precision/auto`` takes what is measured to be fastest on this machine at a cosine to fp32 of 0.9999 or more;
    ///     the first load of a model measures for some seconds, later ones remember.
    ///   - precisionFloor: The lowest cosine to fp32 that is served, 0 to 1; nil leaves each precision its own: 0.9999, int8 0.99, int4 0.95.
    ///   - segments: Parts of the network that run one after the other, so that what one computes in is free again before the next begins; nil for as
    ///     few as the device's memory asks for.
    ///   - offload: What is done about weights for which there is no memory.
    ///   - batching: How texts that are asked for at the same moment become batches.
    ///   - caching: What is remembered of texts, which are not computed again then.
    ///   - installation: Where the engine and installed models are looked for.
    ///   - execution: In this process, or in workers that can fail without it.
    /// - Throws: ``ApusError`` with a code such as `engine_missing`, `invalid_configuration` (caching), `model_not_found`, `invalid_checkpoint`,
    ///   `unsupported_model`, `unsupported_task`, `invalid_tokenizer`, `unsupported_precision`, `unsupported_plan`, `insufficient_memory`, or `invalid_value` for the
    ///   batching, the floor or the segments.
    public static func load(
        _ model: String = Installation.defaultModel, precision: Precision = .auto, precisionFloor: Double? = nil,
        segments: Int? = nil, offload: Offload = .auto, batching: Batching = .dynamic(), caching: Caching = .memory(),
        installation: Installation = Installation(), execution: Execution = .inProcess
    ) async throws(ApusError) -> Embedder {
        let directory = try installation.modelDirectory(model)
        let policy = try batching.policy()
        let request = try PrecisionRequest(precision, checkedFloor: precisionFloor)
        let cut = try SegmentRequest(segments: segments, offload: offload)
        let owner = OwnedRoom(try EngineRoom(installation: installation, execution: execution, cache: try caching.open()))
        let ready = try await owner.room.load(directory: directory, precision: request, policy: policy, segments: cut, for: .embedding)
        await owner.room.cache?.waitUntilRestored()
        return Embedder(ready, owner)
    }

    /// Writes down what a cache that outlives the program has not written yet; done without it, too, when the last use of the embedder ends in time.
    /// Texts can be embedded afterwards, and what is computed then is not kept.
    public func closeCache() async {
        await owner.room.cache?.close()
    }

    /// Embeds any number of texts; the vectors come in their order, each of ``dimensions`` elements.
    ///
    /// Texts longer than ``maxTokens`` are cut at the right, which ``embedWithDetails(_:priority:deadline:)`` reports.
    ///
    /// - Parameters:
    ///   - priority: Whose turn it is where the batching knows classes.
    ///   - deadline: When the answer stops being of use; nil waits for ever.
    /// - Throws: `cancelled` when the surrounding task is, `deadline_exceeded`, `overloaded`, `model_unloaded`, `no_device`, and the engine's
    ///   failures.
    public func embed(
        _ texts: [String], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [[Float]] {
        try await embedWithDetails(texts, priority: priority, deadline: deadline).map(\.vector)
    }

    /// Embeds one text: ``dimensions`` elements.
    public func embed(
        _ text: String, priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [Float] {
        try await embed([text], priority: priority, deadline: deadline).first ?? []
    }

    /// Embeds texts and tells of each how its vector was made.
    public func embedWithDetails(
        _ texts: [String], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [Embedding] {
        let options = BatchOptions(deadline: deadline, priority: priority.batching)
        var embeddings: [Embedding] = []
        embeddings.reserveCapacity(texts.count)
        for start in stride(from: 0, to: texts.count, by: Self.window) {
            let texts = texts[start..<min(start + Self.window, texts.count)]
            let result = try await ready.embedder.embed(texts.map { .text($0) }, options: options)
            let width = result.sequences.dimensions
            for (row, count) in result.tokenCounts.enumerated() {
                embeddings.append(
                    Embedding(
                        vector: Array(result.sequences.vectors[(row * width)..<((row + 1) * width)]), isCached: result.remembered.contains(row), tokens: count.run,
                        originalTokens: count.original))
            }
        }
        return embeddings
    }

    /// Texts in flight at once: enough for full batches, few enough that any number of texts fits into the queue.
    private static let window = 2048
}

/// One text's vector.
public struct Embedding: Sendable {
    public let vector: [Float]
    /// Whether it was remembered and not computed now.
    public let isCached: Bool
    /// Tokens that were run.
    public let tokens: Int
    /// Tokens the text has.
    public let originalTokens: Int
    /// Whether the text was cut.
    public var truncated: Bool { tokens < originalTokens }
}
