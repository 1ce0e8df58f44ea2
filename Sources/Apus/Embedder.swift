import ApusBatching
import ApusEmbeddings
public import ApusErrors
public import ApusTensor

/// Turns text into vectors, in this process.
///
/// ```swift
/// let embedder = try await Embedder.load()
/// let vectors = try await embedder.embed(["A swift sleeps on the wing.", "GPUs do not."])
/// ```
///
/// One embedder serves any number of tasks at once; what they ask at the same moment shares batches.
public final class Embedder: Sendable {
    /// The name of the model.
    public var model: String { ready.name }
    /// Elements of one vector.
    public var dimensions: Int { ready.embedder.dimensions }
    /// Tokens of the longest text that is not cut, special tokens included.
    public var maxTokens: Int { ready.embedder.maxTokens }
    /// What the model really runs in.
    public var precision: Precision { ready.precision }
    /// Where it runs now. Empty while a device that failed is being replaced.
    public var devices: [DeviceID] { ready.devices }

    private let ready: ReadyModel
    private let room: EngineRoom

    private init(_ ready: ReadyModel, _ room: EngineRoom) {
        self.ready = ready
        self.room = room
    }

    deinit {
        let room = room
        Task { await room.shutdown() }
    }

    /// Loads a model and proves it against its known answer.
    ///
    /// - Parameters:
    ///   - model: The path of a model directory, or the name of an installed model.
    ///   - precision: ``Precision/auto`` or ``Precision/fp32`` on a CPU.
    ///   - installation: Where the engine and installed models are looked for.
    ///   - execution: In this process, or in workers that can fail without it.
    /// - Throws: ``ApusError`` with a code such as `engine_missing`, `model_not_found`, `invalid_checkpoint`,
    ///   `unsupported_model`, `invalid_tokenizer` or `unsupported_precision`.
    public static func load(
        _ model: String = Installation.defaultModel, precision: Precision = .auto, installation: Installation = Installation(),
        execution: Execution = .inProcess
    ) async throws(ApusError) -> Embedder {
        let directory = try installation.modelDirectory(model)
        let room = try EngineRoom(installation: installation, execution: execution)
        do throws(ApusError) {
            return Embedder(try await room.load(directory: directory, precision: precision, policy: try BatchPolicy()), room)
        } catch {
            await room.shutdown()
            throw error
        }
    }

    /// Embeds any number of texts; the vectors come in their order, each of ``dimensions`` elements.
    ///
    /// Texts longer than ``maxTokens`` are cut at the right, which ``embedWithDetails(_:)`` reports.
    public func embed(_ texts: [String]) async throws(ApusError) -> [[Float]] {
        try await embedWithDetails(texts).map(\.vector)
    }

    /// Embeds one text: ``dimensions`` elements.
    public func embed(_ text: String) async throws(ApusError) -> [Float] {
        try await embed([text]).first ?? []
    }

    /// Embeds texts and tells of each how its vector was made.
    public func embedWithDetails(_ texts: [String]) async throws(ApusError) -> [Embedding] {
        var embeddings: [Embedding] = []
        embeddings.reserveCapacity(texts.count)
        for start in stride(from: 0, to: texts.count, by: Self.window) {
            let texts = texts[start..<min(start + Self.window, texts.count)]
            let result = try await ready.embedder.embed(texts.map { .text($0) })
            let width = result.sequences.dimensions
            for (row, count) in result.tokenCounts.enumerated() {
                embeddings.append(
                    Embedding(
                        vector: Array(result.sequences.vectors[(row * width)..<((row + 1) * width)]), tokens: count.run,
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
    /// Tokens that were run.
    public let tokens: Int
    /// Tokens the text has.
    public let originalTokens: Int
    /// Whether the text was cut.
    public var truncated: Bool { tokens < originalTokens }
}
