import ApusErrors
import ApusService
import Synchronization

/// A model whose vectors anyone can work out by hand: element `d` of a text of `n` UTF-8 bytes is `(n + d) / 8` before it is normalised
/// by nobody, so that cutting and normalising show. A word is a token, and two special tokens are added, three to a pair, whose texts count
/// together. The text `poison` fails, alone and in a pair. Scores are half the logits.
struct ScriptedModel: EmbeddingModel {
    let description: ModelDescription
    /// Holds requests until it is opened. Nil: answers at once.
    var gate: Gate?
    let crowd: Crowd

    init(
        _ id: String, gate: Gate? = nil, dimensions: Int = 8, crowd: Crowd = Crowd(), task: ModelDescription.Task = .embedding,
        labels: [String] = []
    ) {
        self.gate = gate
        self.crowd = crowd
        description = ModelDescription(
            id: id, created: 1_700_000_000, task: task, dimensions: labels.isEmpty ? dimensions : labels.count, labels: labels, maxTokens: 16, vocabularySize: 100, precision: "fp32",
            devices: ["cpu:0"], weightsSHA256: String(repeating: "ab", count: 32), cosineToFP32: 1
        )
    }

    func requireRoom(_ options: EmbeddingOptions) throws(ApusError) {
        guard crowd.fills(options.priority) else { return }
        throw ApusError(.overloaded, "the queue is full", cause: RetryHint(seconds: 3))
    }

    func embed(_ inputs: [EmbeddingInput], options: EmbeddingOptions) async throws -> EmbeddingBatch {
        if let gate { try await gate.pass() }
        var vectors: [Float] = []
        var provenance: [EmbeddingProvenance] = []
        var failures: [Int: ApusError] = [:]
        for (index, input) in inputs.enumerated() {
            let (length, original) = Self.measure(input)
            if let failure = failure(of: input, tokens: original, options) {
                guard options.partial else { throw failure }
                failures[index] = failure
                vectors.append(contentsOf: repeatElement(0, count: description.dimensions))
                provenance.append(.none)
                continue
            }
            vectors.append(contentsOf: (0..<description.dimensions).map { Float(length + $0) / 8 })
            provenance.append(
                EmbeddingProvenance(
                    device: "cpu:0", precision: "fp32", batchSize: inputs.count, padding: 0,
                    tokens: min(original, description.maxTokens), originalTokens: original, queueMilliseconds: 0.5,
                    runMilliseconds: 1.5
                )
            )
        }
        return EmbeddingBatch(vectors: vectors, dimensions: description.dimensions, provenance: provenance, failures: failures)
    }

    private func failure(of input: EmbeddingInput, tokens: Int, _ options: EmbeddingOptions) -> ApusError? {
        if tokens > description.maxTokens, options.truncation == .refuse {
            return ApusError(.contextLengthExceeded, "\(tokens) tokens are more than \(description.maxTokens)", place: "input")
        }
        let isPoisoned =
            switch input {
            case .text(let text): text == "poison"
            case .pair(_, let text): text == "poison"
            case .tokens: false
            }
        return isPoisoned ? ApusError(.requestQuarantined, "it ended its process") : nil
    }

    func scores(of logits: ArraySlice<Float>) -> [Float] { logits.map { $0 / 2 } }

    private static func words(_ text: String) -> Int { text.utf8.split(separator: UInt8(ascii: " ")).count }

    private static func measure(_ input: EmbeddingInput) -> (bytes: Int, tokens: Int) {
        switch input {
        case .text(let text): (text.utf8.count, words(text) + 2)
        case .pair(let first, let second):
            (first.utf8.count + second.utf8.count, words(first) + words(second) + 3)
        case .tokens(let ids): (ids.count, ids.count)
        }
    }
}

/// Says of which classes a model's queue is full.
final class Crowd: Sendable {
    private let full = Mutex<Set<EmbeddingOptions.Priority>>([])

    func fill(_ priorities: Set<EmbeddingOptions.Priority>) { full.withLock { $0 = priorities } }
    func fills(_ priority: EmbeddingOptions.Priority) -> Bool { full.withLock { $0.contains(priority) } }
}

/// Lets requests through one permit at a time and tells how many arrived and how many were cancelled while they waited.
final class Gate: Sendable {
    enum Event: Sendable, Equatable {
        case arrived, passed, cancelled
    }

    let events: AsyncStream<Event>
    private let report: AsyncStream<Event>.Continuation
    private let permits: AsyncStream<Void>
    private let permit: AsyncStream<Void>.Continuation

    init() {
        (events, report) = AsyncStream.makeStream()
        (permits, permit) = AsyncStream.makeStream()
    }

    func open() {
        permit.yield()
    }

    func pass() async throws {
        report.yield(.arrived)
        for await _ in permits {
            report.yield(.passed)
            return
        }
        report.yield(.cancelled)
        throw CancellationError()
    }
}
