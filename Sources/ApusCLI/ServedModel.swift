import Apus
import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusScheduling
import ApusService
import ApusTensor
import Foundation

/// A loaded model as the service sees it.
struct ServedModel: EmbeddingModel {
    private let ready: ReadyModel
    private let created = Int64(Date().timeIntervalSince1970)

    /// Whether what was computed for one key is remembered for that key alone.
    private let isCachePerKey: Bool

    init(_ ready: ReadyModel, cachePerKey: Bool) {
        self.ready = ready
        isCachePerKey = cachePerKey
    }

    var task: ModelDescription.Task { ready.embedder.classifier?.task.told ?? .embedding }

    var description: ModelDescription {
        ModelDescription(
            id: ready.name, created: created, task: task, dimensions: ready.embedder.dimensions,
            labels: ready.embedder.classifier?.labels ?? [],
            maxTokens: ready.embedder.maxTokens, vocabularySize: ready.embedder.vocabularySize,
            precision: ready.precisions.map(\.rawValue).joined(separator: ","),
            segments: ready.segmentation?.count ?? 1, isOffloaded: ready.segmentation.map { $0.residency != .resident } ?? false, devices: ready.devices.map(\.description), weightsSHA256: ready.weightsSHA256,
            cosineToFP32: ready.lowestCosine)
    }

    /// The latest proofs by device.
    var cosines: [DeviceID: Double] { ready.cosines }
    var devices: [DeviceID] { ready.devices }

    func requireRoom(_ options: EmbeddingOptions) throws(ApusError) {
        do throws(ApusError) {
            try ready.embedder.scheduler.requireRoom(Self.batching(options))
        } catch {
            throw Self.withRetryTime(error)
        }
    }

    private static func batching(_ options: EmbeddingOptions) -> BatchOptions {
        BatchOptions(
            deadline: options.deadline, priority: options.priority.batching, client: options.client?.number ?? 0, isPartial: options.partial)
    }

    func embed(_ inputs: [EmbeddingInput], options: EmbeddingOptions) async throws -> EmbeddingBatch {
        let texts = inputs.map { input -> TextInput in
            switch input {
            case .text(let text): .text(text)
            case .pair(let first, let second): .pair(first, second)
            case .tokens(let tokens): .tokens(tokens)
            }
        }
        let truncation: Truncation =
            switch options.truncation {
            case .right: .right
            case .refuse: .refuse
            }
        let result = try await embed(texts, truncation, options)
        let failures = result.sequences.failures
        let provenance = zip(result.sequences.runs, result.tokenCounts).enumerated().map { row, made in
            let (run, count) = made
            return failures[row] != nil ? .none : EmbeddingProvenance(
                device: run.devices.map(\.description).joined(separator: ","), precision: run.precision.rawValue, fallback: run.fallback.told,
                cache: result.remembered.contains(row) ? .hit : .miss, batchSize: run.batchSize,
                padding: run.padding, tokens: count.run, originalTokens: count.original,
                queueMilliseconds: Double(run.queueNanoseconds) * 1e-6, runMilliseconds: Double(run.runNanoseconds) * 1e-6)
        }
        return EmbeddingBatch(
            vectors: result.sequences.vectors, dimensions: result.sequences.dimensions, provenance: provenance, failures: failures)
    }

    func scores(of logits: ArraySlice<Float>) -> [Float] {
        ready.embedder.classifier?.scores(of: logits) ?? Array(logits)
    }

    private func embed(
        _ texts: [TextInput], _ truncation: Truncation, _ options: EmbeddingOptions
    ) async throws(ApusError) -> EmbeddedTexts {
        do throws(ApusError) {
            return try await ready.embedder.embed(
                texts, truncation: truncation, options: Self.batching(options), owner: isCachePerKey ? options.client?.name ?? "" : "")
        } catch {
            throw Self.withRetryTime(error)
        }
    }

    /// Tells a client that met a full queue when there will be room, and one that met no device when one is tried again.
    private static func withRetryTime(_ error: ApusError) -> ApusError {
        let seconds: Int
        switch error.cause {
        case let wait as QueueWait: seconds = Int(min(max(1, wait.seconds), 3600).rounded(.up))
        case let attempt as NextAttempt: seconds = attempt.seconds()
        default: return error
        }
        return ApusError(
            error.code, error.message, place: error.place, advice: error.advice, cause: RetryHint(seconds: seconds))
    }
}

extension ModelTask {
    /// As clients are told.
    fileprivate var told: ModelDescription.Task {
        switch self {
        case .embedding: .embedding
        case .rerank: .rerank
        case .classify: .classify
        }
    }
}

extension EmbeddingOptions.Priority {
    fileprivate var batching: Priority {
        switch self {
        case .high: .high
        case .medium: .medium
        case .low: .low
        }
    }
}

extension FallbackStage {
    /// As clients are told.
    fileprivate var told: EmbeddingProvenance.Fallback {
        switch self {
        case .none: .none
        case .temporary: .temporary
        case .permanent: .permanent
        }
    }
}
