import ApusErrors

/// What a client asks for: how alike texts are, by the cosine of their vectors.
package struct SimilarityRequest: Sendable {
    package var model: String
    package var sources: [String]
    package var sentences: [String]
    package var options: EmbeddingOptions

    package init(model: String, sources: [String], sentences: [String], options: EmbeddingOptions = EmbeddingOptions()) {
        self.model = model
        self.sources = sources
        self.sentences = sentences
        self.options = options
    }
}

package struct SimilarityReply: Sendable {
    package let model: ModelDescription
    /// For each source one cosine for each sentence, -1 to 1.
    package let scores: [[Float]]
    /// One account for each source and then for each sentence.
    package let provenance: [EmbeddingProvenance]
    package let summary: ProvenanceSummary
}

/// Texts to cosines, through the embeddings of a model. There are no partial answers: a text that fails leaves a hole in every row.
struct SimilarityOperation: Sendable {
    let runs: ModelRun

    func run(_ request: SimilarityRequest) async throws -> SimilarityReply {
        let model = try runs.model(named: request.model, for: .embedding)
        let texts = request.sources + request.sentences
        try runs.checkCount(request.sources.count, of: "source_sentence", for: "compare")
        try runs.checkCount(request.sentences.count, of: "sentences", for: "compare")
        try runs.checkCount(texts.count, of: "sentences", for: "compare")
        let names = InputNames([
            .init(field: "source_sentence", noun: "source sentence", count: request.sources.count, isSingle: request.sources.count == 1),
            .init(field: "sentences", noun: "sentence", count: request.sentences.count),
        ])
        let outcome = try await runs.run(.init(inputs: texts.map { .text($0) }, names: names, options: request.options), on: model)
        let rows = outcome.batch.rows.map(Self.unit)
        let (sources, sentences) = (rows.prefix(request.sources.count), rows.dropFirst(request.sources.count))
        var scores: [[Float]] = []
        for source in sources {
            try Task.checkCancellation()
            // A thousand sources are a thousand million products: others get their turn between them.
            await Task.yield()
            scores.append(sentences.map { Self.dot(source, $0) })
        }
        return SimilarityReply(
            model: model.description, scores: scores, provenance: outcome.batch.provenance, summary: outcome.summary)
    }

    /// The vector at length 1; one of zeros stays as it is, and is like nothing.
    private static func unit(_ vector: ArraySlice<Float>) -> [Float] {
        let squares = vector.reduce(0.0) { $0 + Double($1) * Double($1) }
        let scale = squares > 0 ? Float(1 / squares.squareRoot()) : 0
        return vector.map { $0 * scale }
    }

    /// In eight sums, which the compiler keeps in one register.
    private static func dot(_ a: [Float], _ b: [Float]) -> Float {
        var sums = SIMD8<Float>()
        var index = 0
        let count = min(a.count, b.count)
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                while index + 8 <= count {
                    var (x, y) = (SIMD8<Float>(), SIMD8<Float>())
                    for lane in 0..<8 { (x[lane], y[lane]) = (a[index + lane], b[index + lane]) }
                    sums += x * y
                    index += 8
                }
            }
        }
        var sum = sums.sum()
        while index < count {
            sum += a[index] * b[index]
            index += 1
        }
        return min(1, max(-1, sum))
    }
}
