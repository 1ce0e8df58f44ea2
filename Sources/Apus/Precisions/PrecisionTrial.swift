import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTokenizers

/// What the forms of one model are measured with: the plain fp32 graph's answer to the sample, and batches of short and of long texts.
struct PrecisionTrial: Sendable {
    private let subject: PrecisionSubject
    private let answer: KnownAnswer
    private let short: EncoderBatch
    private let long: EncoderBatch

    /// Tokens of a batch: of a core about what it computes at a time, of an accelerator enough that launching its kernels does not decide.
    private static let coreTokens = 512
    private static let acceleratorTokens = 8_192
    private static let longLength = 128

    /// Computes the plain graph's answer. `onReference` hands its body a CPU.
    init(
        _ subject: PrecisionSubject, onCPU: Bool,
        onReference: ((any Executor) async throws(ApusError) -> KnownAnswer) async throws(ApusError) -> KnownAnswer
    ) async throws(ApusError) {
        self.subject = subject
        let (checkpoint, tokenizer) = (subject.checkpoint, subject.tokenizer)
        answer = try await onReference { executor throws(ApusError) in
            let plain = try await SentenceEncoder.load(checkpoint, onto: executor, form: .plainFP32, optimization: .none)
            return try await executor.prepare { () throws(ApusError) in
                try KnownAnswer.compute(plain, tokenizer, of: .sample(for: checkpoint))
            }
        }
        let sentences = ProofTexts.allSentences
        let shortest = sentences.filter { $0.utf8.count <= 64 }
        let tokens = onCPU ? Self.coreTokens : Self.acceleratorTokens
        short = try Self.batch(shortest.isEmpty ? sentences : shortest, subject, upTo: Self.longLength, tokens: tokens)
        long = try Self.batch([sentences.joined(separator: " ")], subject, upTo: Self.longLength, tokens: tokens)
    }

    /// Loads `form`, compares it with the plain graph, measures both batches, and lets it go. Throws what loading and running throw.
    func run(
        _ form: NetworkForm, on executor: any Executor, _ optimization: LoadRequest.Optimization, time: Duration
    ) async throws(ApusError) -> PrecisionChoice.Figures {
        let encoder = try await SentenceEncoder.load(subject.checkpoint, onto: executor, form: form, optimization: optimization)
        let (subject, answer, short, long) = (subject, answer, short, long)
        let cosine = try await executor.prepare { () throws(ApusError) in
            // The first steps make room and pick kernels, which later ones need not.
            _ = try encoder.run(short)
            _ = try encoder.run(long)
            return try answer.lowestCosine(encoder, subject.tokenizer, of: .sample(for: subject.checkpoint))
        }
        guard let cosine else {
            throw ApusError(.wrongAnswer, "\(form) gives vectors that cannot be compared with the plain graph's", place: subject.checkpoint.name)
        }
        let speeds = [
            try await SpeedTrials.throughput(executor, encoder, short, time: time).get() * short.tokensEach,
            try await SpeedTrials.throughput(executor, encoder, long, time: time).get() * long.tokensEach,
        ]
        return PrecisionChoice.Figures(cosine: cosine, shortTokensPerSecond: speeds[0], longTokensPerSecond: speeds[1])
    }

    /// The lowest cosine of `copy`, another checkpoint of the same model, to the plain graph. Throws what loading and running throw.
    func cosine(
        of copy: Checkpoint, _ form: NetworkForm, on executor: any Executor, _ optimization: LoadRequest.Optimization
    ) async throws(ApusError) -> Double {
        let encoder = try await SentenceEncoder.load(copy, onto: executor, form: form, optimization: optimization)
        let (subject, answer) = (subject, answer)
        let cosine = try await executor.prepare { () throws(ApusError) in
            try answer.lowestCosine(encoder, subject.tokenizer, of: .sample(for: subject.checkpoint))
        }
        guard let cosine else {
            throw ApusError(.wrongAnswer, "the copy gives vectors that cannot be compared with the model's", place: copy.name)
        }
        return cosine
    }

    /// The texts over and over until the batch has about so many tokens.
    private static func batch(
        _ texts: [String], _ subject: PrecisionSubject, upTo longest: Int, tokens: Int
    ) throws(ApusError) -> EncoderBatch {
        let sequences = texts.compactMap { text -> EncoderBatch.Sequence? in
            let encoding = subject.tokenizer.encode(text).truncated(to: min(longest, subject.checkpoint.maxTokens))
            return encoding.ids.isEmpty ? nil : EncoderBatch.Sequence(encoding, subject.checkpoint.typeVocabularySize)
        }
        guard !sequences.isEmpty else {
            throw ApusError(.invalidTokenizer, "no token comes of any text", place: subject.checkpoint.name)
        }
        var batch: [EncoderBatch.Sequence] = []
        var count = 0
        while count < tokens {
            let sequence = sequences[batch.count % sequences.count]
            batch.append(sequence)
            count += sequence.ids.count
        }
        return EncoderBatch(batch)
    }
}

extension EncoderBatch {
    /// On average.
    fileprivate var tokensEach: Double { Double(tokenCount) / Double(max(1, count)) }
}
