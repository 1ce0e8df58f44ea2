package import ApusCheckpoint
package import ApusErrors
import ApusGraph
package import ApusScheduling
package import ApusTokenizers
import ApusVectors

/// One model that turns text into vectors: tokenises, batches with whatever else is asked at the moment, runs.
package final class TextEmbedder: Sendable {
    package let tokenizer: Tokenizer
    /// Tokens of the longest input, special tokens included; at least 1.
    package let maxTokens: Int
    /// Elements of one vector.
    package let dimensions: Int
    /// Highest token id that the network has an embedding for, + 1.
    package let vocabularySize: Int
    /// What the vectors mean where they are logits.
    package let classifier: SequenceClassifier?
    private let typeVocabularySize: Int?
    private let lowercasesText: Bool
    /// Put before every text, as sentence-transformers does with a checkpoint's default prompt.
    private let prompt: String
    /// Where the batches run: devices are opened and closed here.
    package let scheduler: BatchScheduler<SentenceEncoder>
    private let metrics: BatchMetrics
    /// What it remembers of texts that it embedded before; nil for nothing.
    private let cache: ModelCache?
    private let clock = MonotonicClock()

    /// `dimensions` are those of the network's vectors, `maxTokens` lowers the checkpoint's own limit. Nothing runs before a device is
    /// opened in ``scheduler``.
    package init(
        _ checkpoint: Checkpoint, tokenizer: Tokenizer, dimensions: Int, metrics: BatchMetrics, maxTokens: Int? = nil,
        scheduler: BatchScheduler<SentenceEncoder>, cache: ModelCache? = nil
    ) {
        self.dimensions = dimensions
        self.scheduler = scheduler
        self.tokenizer = tokenizer
        self.maxTokens = max(1, min(checkpoint.maxTokens, maxTokens ?? .max))
        classifier = checkpoint.classifier
        typeVocabularySize = checkpoint.typeVocabularySize
        lowercasesText = checkpoint.lowercasesText
        prompt = checkpoint.defaultPrompt ?? ""
        vocabularySize =
            switch checkpoint.source {
            case .encoder(let configuration, _): configuration.vocabularySize
            case .onnx: tokenizer.vocabularySize
            }
        self.metrics = metrics
        self.cache = cache
    }

    /// Tokens that wait for a lane.
    package var waitingTokens: Int { scheduler.waitingTokens }

    /// Embeds `inputs` and answers in their order.
    ///
    /// What was embedded before is remembered and not computed again.
    ///
    /// - Parameter owner: who asks, where clients are not to learn by what is remembered what others asked for; empty for those who share.
    ///
    /// Throws `context_length_exceeded` under ``Truncation/refuse``, `invalid_token`, `empty_input` for an input without any
    /// token, and what ``BatchScheduler/run(count:_:_:)`` throws. The place names the input, `input[3]`. With partial results what is wrong
    /// with one input is told in its row.
    package func embed(
        _ inputs: [TextInput], truncation: Truncation = .right, options: BatchOptions = BatchOptions(), owner: String = ""
    ) async throws(ApusError) -> EmbeddedTexts {
        guard let cache else { return try await compute(inputs, nil, truncation, options) }
        var request = cache.request(inputs, computedIn: try scheduler.openPrecisions(), owner: owner)
        await request.lookUp(maxOriginalTokens: truncation == .refuse ? maxTokens : .max, metrics)
        let texts = try await compute(inputs, request.remembered, truncation, options)
        request.store(texts)
        return texts
    }

    /// - Parameter remembered: what of the inputs need not be computed; nil for nothing.
    private func compute(
        _ inputs: [TextInput], _ remembered: [ModelCache.Remembered?]?, _ truncation: Truncation, _ options: BatchOptions
    ) async throws(ApusError) -> EmbeddedTexts {
        var counts = [TokenCount](repeating: TokenCount(run: 0, original: 0), count: inputs.count)
        var missing: [Int]?
        if let remembered {
            missing = remembered.indices.filter { remembered[$0] == nil }
            for (row, known) in remembered.enumerated() {
                if let known { counts[row] = TokenCount(run: known.value.tokens, original: known.value.originalTokens) }
            }
        }
        var tokenizing = 0
        let answers = try await scheduler.run(count: inputs.count, rows: missing, options) { index throws(ApusError) in
            let started = clock.now
            defer { tokenizing += clock.now - started }
            let (sequence, count) = try sequence(
                inputs[index], truncation, place: inputs.count == 1 ? "input" : "input[\(index)]")
            counts[index] = count
            return sequence
        }
        if missing?.isEmpty != true { metrics.tokenized(nanoseconds: tokenizing) }
        let known = remembered ?? []
        return EmbeddedTexts(
            sequences: EmbeddedSequences(answers, dimensions: dimensions, remembered: known), tokenCounts: counts,
            remembered: Set(known.indices.filter { known[$0] != nil }))
    }

    private func sequence(
        _ input: TextInput, _ truncation: Truncation, place: String
    ) throws(ApusError) -> (EncoderBatch.Sequence, TokenCount) {
        let sequence: EncoderBatch.Sequence
        let original: Int
        switch input {
        case .text(let text):
            (sequence, original) = try cut(tokenizer.encode(spelled(prompt + text)), truncation, place)
        case .pair(let first, let second):
            (sequence, original) = try cut(tokenizer.encode(spelled(first), pair: spelled(second)), truncation, place)
        case .tokens(let tokens):
            original = tokens.count
            if original > maxTokens { try refuse(truncation, original, place) }
            let ids = Array(tokens.prefix(maxTokens))
            sequence = EncoderBatch.Sequence(ids: ids, typeIDs: [Int32](repeating: 0, count: ids.count))
        }
        for id in sequence.ids where id < 0 || Int(id) >= vocabularySize {
            throw ApusError(
                .invalidToken, "token id \(id) is not in the vocabulary of \(vocabularySize) tokens", place: place)
        }
        guard !sequence.ids.isEmpty else {
            throw ApusError(.emptyInput, "the input has no tokens", place: place)
        }
        return (sequence, TokenCount(run: sequence.ids.count, original: original))
    }

    private func spelled(_ text: String) -> String { lowercasesText ? text.lowercased() : text }

    private func cut(
        _ encoding: Encoding, _ truncation: Truncation, _ place: String
    ) throws(ApusError) -> (EncoderBatch.Sequence, original: Int) {
        var encoding = encoding
        let original = encoding.originalTokenCount
        if original > maxTokens { try refuse(truncation, original, place) }
        encoding.truncate(to: maxTokens)
        return (EncoderBatch.Sequence(encoding, typeVocabularySize), original)
    }

    private func refuse(_ truncation: Truncation, _ tokens: Int, _ place: String) throws(ApusError) {
        guard truncation == .refuse else { return }
        throw ApusError(
            .contextLengthExceeded, "the input has \(tokens) tokens, this model takes \(maxTokens)", place: place,
            advice: "Shorten the input, or allow truncation")
    }
}

/// One thing to embed.
package enum TextInput: Sendable {
    case text(String)
    /// Two texts as one input, with what the tokenizer's template puts between them; cut where the longer of them is, so that the shorter stays
    /// whole as long as it is no more than half of what the model takes.
    case pair(String, String)
    /// Token ids as they are to be run, special tokens included.
    case tokens([Int32])
}

/// What happens to an input with more tokens than the model takes.
package enum Truncation: Sendable {
    /// Cut at the right; special tokens stay.
    case right
    case refuse
}

package struct TokenCount: Sendable, Equatable {
    /// Tokens that were run.
    package var run: Int
    /// Tokens before truncation.
    package var original: Int
}

/// The vectors of a list of inputs, in its order.
package struct EmbeddedTexts: Sendable {
    package var sequences: EmbeddedSequences
    package var tokenCounts: [TokenCount]
    /// The inputs that had been embedded before, whose vectors were not computed for this request.
    package var remembered: Set<Int> = []
}
