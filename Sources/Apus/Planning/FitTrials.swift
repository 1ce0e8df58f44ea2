import ApusCheckpoint
import ApusEmbeddings
package import ApusErrors
import ApusExecution
package import ApusFleet
import ApusGraph
import ApusRuntime
package import ApusTensor
import ApusTokenizers

/// Finds the largest batch of a model's longest texts that fits on devices, and remembers it for those who serve it there.
package struct FitTrials: Sendable {
    package struct Fit: Sendable {
        /// What the model runs in.
        package let precision: Precision
        /// ``ServedForm/label``.
        package let form: String
        /// Texts of the largest batch that fits; nil when not even one does.
        package let texts: Int?
        /// Tokens of each of the texts, which are the longest that the model takes.
        package let length: Int
        /// Bytes that the batch was computed in.
        package let bytes: Int
        /// Bytes that a batch was allowed; nil where only the device said no.
        package let limitBytes: Int?
        /// Whether a larger batch would not fit; else the search ended because nobody asks for more.
        package let isLimited: Bool

        package var paddedTokens: Int? { texts.map { $0 * length } }
    }

    private let precisions: PrecisionTrials
    private let source: any ExecutorSource
    private let ceilings: BatchCeilings

    /// Padded tokens beyond which nothing is tried: four times what batches on any device are given.
    package static let mostTokens = 4 * 16_384

    package init(installation: Installation, engineLibrary: String, execution: Execution) {
        precisions = PrecisionTrials(installation: installation, engineLibrary: engineLibrary, execution: execution)
        source = execution.source(engineLibrary: engineLibrary)
        ceilings = BatchCeilings(directory: installation.cacheDirectory("batch-ceilings"))
    }

    /// Tries the model in `directory` on `member`: every batch in an executor of its own, so that none suffers from the last. Where the device
    /// shares the host's memory, a lane's batches stay within its part of the device's limit, or of half of that memory. Throws what
    /// reading the model and choosing its form throw, and the device's failures other than being out of memory.
    package func run(
        _ member: FleetPlan.Member, model directory: String, _ request: PrecisionRequest = PrecisionRequest()
    ) async throws(ApusError) -> Fit {
        let (subject, sequence) = try await BlockingWork.run { () throws(ApusError) in
            let subject = try PrecisionSubject(directory: directory)
            return (subject, try Self.longest(subject))
        }
        let checkpoint = subject.checkpoint
        let served: ServedForm =
            switch checkpoint.source {
            case .encoder: ServedForm(try await precisions.choice(for: subject, on: member, request))
            case .onnx(let file): ServedForm(file: file.precision)
            }
        let settings = member.settings
        let sharesHost = settings.device.kind == .cpu || settings.device.kind == .sim
        let limit = sharesHost ? (settings.memoryLimitBytes ?? HostMemory.current.bytes / 2) / settings.lanes : nil
        var search = FitSearch(most: Self.mostTokens / sequence.ids.count, limitBytes: limit)
        try await search.run { texts throws(ApusError) in
            try await attempt(EncoderBatch([EncoderBatch.Sequence](repeating: sequence, count: texts)), checkpoint, served, settings)
        }
        let fit = Fit(
            precision: served.precision, form: served.label, texts: search.largest, length: sequence.ids.count, bytes: search.bytes, limitBytes: limit,
            isLimited: search.tooLarge != nil)
        if let tokens = fit.paddedTokens, fit.isLimited {
            ceilings.storeNow(tokens, .init(weights: subject.weights, device: settings.device, form: fit.form))
        }
        return fit
    }

    private func attempt(
        _ batch: EncoderBatch, _ checkpoint: Checkpoint, _ served: ServedForm, _ settings: ExecutorSettings
    ) async throws(ApusError) -> Int {
        try await source.withExecutor(settings) { executor throws(ApusError) in
            let encoder = try await SentenceEncoder.load(
                checkpoint, onto: executor, form: served.form ?? settings.device.kind.networkForm)
            _ = try await executor.prepare { () throws(ApusError) in try encoder.run(batch) }
            return try await executor.memory().maxAllocatedBytes
        }
    }

    /// A text of as many tokens as the model takes.
    private static func longest(_ subject: PrecisionSubject) throws(ApusError) -> EncoderBatch.Sequence {
        let (checkpoint, tokenizer) = (subject.checkpoint, subject.tokenizer)
        let sentence = ProofTexts.sentences.max { $0.utf8.count < $1.utf8.count } ?? ""
        // Every sentence has more than one token.
        let text = String(repeating: "\(sentence) ", count: checkpoint.maxTokens / 2 + 1)
        let encoding = tokenizer.encode(text).truncated(to: checkpoint.maxTokens)
        guard !encoding.ids.isEmpty else { throw ApusError(.invalidTokenizer, "no token comes of any text", place: checkpoint.name) }
        return EncoderBatch.Sequence(encoding, checkpoint.typeVocabularySize)
    }
}
