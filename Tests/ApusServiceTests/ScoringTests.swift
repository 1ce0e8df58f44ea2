import ApusErrors
import ApusService
import Synchronization
import Testing

@Suite("Rerank, classify and similarity")
struct ScoringTests {
    /// Each input becomes the row that `row` makes of it.
    private func service(
        _ task: ModelDescription.Task, labels: [String] = [], failing: [Int: ApusError] = [:],
        seen: @escaping @Sendable ([EmbeddingInput], EmbeddingOptions) -> Void = { _, _ in },
        row: @escaping @Sendable (EmbeddingInput) -> [Float]
    ) -> InferenceService {
        let model = FixedModel(task: task, labels: labels) { inputs, options in
            seen(inputs, options)
            let width = labels.isEmpty ? 2 : labels.count
            return EmbeddingBatch(
                vectors: inputs.enumerated().flatMap { failing[$0] == nil ? row($1) : [Float](repeating: 0, count: width) }, dimensions: width,
                provenance: inputs.indices.map { failing[$0] == nil ? .plain() : .none }, failures: failing)
        }
        return InferenceService(catalog: OneModel(model: model))
    }

    /// The length of the document, or of the text.
    private static func length(_ input: EmbeddingInput) -> Float {
        switch input {
        case .text(let text), .pair(_, let text): Float(text.utf8.count)
        case .tokens(let ids): Float(ids.count)
        }
    }

    @Test("The query goes with every document, the best comes first, equal ones as they were, and only as many as asked")
    func ranks() async throws {
        let given = Mutex<[EmbeddingInput]>([])
        let service = service(.rerank, labels: ["fits"], seen: { inputs, _ in given.withLock { $0 = inputs } }) { [Self.length($0)] }
        let request = RerankRequest(model: "m", query: "q", documents: ["aa", "b", "cccc", "dd", "ee"])
        let reply = try await service.rerank(request)
        #expect(given.withLock { $0 } == ["aa", "b", "cccc", "dd", "ee"].map { .pair("q", $0) })
        #expect(reply.results.map(\.index) == [2, 0, 3, 4, 1] && reply.results.map(\.score) == [4, 2, 2, 2, 1])
        #expect(reply.summary.tokens == 15)
        var two = request
        two.top = 2
        #expect(try await service.rerank(two).results.map(\.index) == [2, 0])
    }

    @Test("A document that fails alone is told in its place, and its query is not blamed")
    func partialRanking() async throws {
        let failing = [1: ApusError(.contextLengthExceeded, "long", place: "input[1]")]
        let service = service(.rerank, labels: ["fits"], failing: failing) { [Self.length($0)] }
        let options = EmbeddingOptions(partial: true)
        let reply = try await service.rerank(RerankRequest(model: "m", query: "q", documents: ["", "a", "bb", "cc"], options: options))
        #expect(reply.results.map(\.index) == [3, 1])
        #expect(reply.failures.mapValues(\.code) == [0: .emptyInput, 2: .contextLengthExceeded])
        #expect(reply.failures.mapValues(\.place) == [0: "documents[0]", 2: "documents[2]"])
        let error = await #expect(throws: ApusError.self) {
            try await service.rerank(RerankRequest(model: "m", query: "", documents: ["a"], options: options))
        }
        #expect(error?.code == .emptyInput && error?.place == "query")
    }

    @Test("What a model says of input 1 is said of document 1")
    func places() async throws {
        let model = FixedModel(task: .rerank, labels: ["fits"]) { _, _ in throw ApusError(.contextLengthExceeded, "long", place: "input[1]") }
        let service = InferenceService(catalog: OneModel(model: model))
        let error = await #expect(throws: ApusError.self) {
            try await service.rerank(RerankRequest(model: "m", query: "q", documents: ["a", "b"]))
        }
        #expect(error?.place == "documents[1]")
        let embedding = FixedModel { _, _ in throw ApusError(.contextLengthExceeded, "long", place: "input[2]") }
        let other = await #expect(throws: ApusError.self) {
            try await InferenceService(catalog: OneModel(model: embedding)).similarity(
                SimilarityRequest(model: "m", sources: ["a", "b"], sentences: ["c", "d"]))
        }
        #expect(other?.place == "sentences[0]")
    }

    @Test("Labels come in the order of their scores, equal ones in the model's")
    func classifies() async throws {
        let service = service(.classify, labels: ["a", "b", "c"]) { Self.length($0) > 1 ? [1, 3, 2] : [5, 5, 5] }
        let reply = try await service.classify(ClassifyRequest(model: "m", inputs: [.text("xx"), .pair("p", "x")]))
        #expect(reply.predictions.map { $0.map(\.label) } == [["b", "c", "a"], ["a", "b", "c"]])
        let top = try await service.classify(ClassifyRequest(model: "m", inputs: [.text("xx")], top: 1))
        #expect(top.predictions.count == 1 && top.predictions[0].map(\.label) == ["b"] && top.predictions[0].map(\.score) == [3])
    }

    @Test("Logits for other labels than the model's are no answer")
    func wrongWidth() async throws {
        let model = FixedModel(task: .classify, labels: ["a", "b"]) { _, _ in
            EmbeddingBatch(vectors: [1, 2, 3], dimensions: 3, provenance: [.plain()])
        }
        let error = await #expect(throws: ApusError.self) {
            try await InferenceService(catalog: OneModel(model: model)).classify(ClassifyRequest(model: "m", inputs: [.text("x")]))
        }
        #expect(error?.code == .internalError)
    }

    @Test("Many labels of many inputs are refused before anything runs")
    func manyScores() async throws {
        let labels = (0..<1024).map(String.init)
        let service = service(.classify, labels: labels) { _ in labels.indices.map(Float.init) }
        let most = try await service.classify(ClassifyRequest(model: "m", inputs: Array(repeating: .text("x"), count: 1024), top: 1))
        #expect(most.predictions.count == 1024 && most.predictions.allSatisfy { $0.map(\.label) == ["1023"] })
        let error = await #expect(throws: ApusError.self) {
            try await service.classify(ClassifyRequest(model: "m", inputs: Array(repeating: .text("x"), count: 1025), top: 1))
        }
        #expect(error?.code == .arrayTooLong && error?.place == "input")
    }

    @Test("Cosines are those of the vectors whatever their lengths, and a vector of zeros is like nothing")
    func compares() async throws {
        let rows: [String: [Float]] = ["x": [3, 0], "y": [0, 0.5], "xy": [2, 2], "-x": [-7, 0], "0": [0, 0]]
        let service = service(.embedding) { input in if case .text(let text) = input { rows[text] ?? [] } else { [] } }
        let reply = try await service.similarity(SimilarityRequest(model: "m", sources: ["x", "0"], sentences: ["x", "y", "xy", "-x", "0"]))
        let expected: [Float] = [1, 0, 0.70710677, -1, 0]
        #expect(zip(reply.scores[0], expected).allSatisfy { abs($0 - $1) < 1e-6 } && reply.scores[1] == [0, 0, 0, 0, 0])
        #expect(reply.provenance.count == 7)
    }

    @Test("Long vectors are multiplied to their last element")
    func longVectors() async throws {
        for width in [1, 7, 8, 9, 17] {
            let model = FixedModel(dimensions: width) { inputs, _ in
                EmbeddingBatch(
                    vectors: inputs.indices.flatMap { row in (0..<width).map { Float($0 + row + 1) } }, dimensions: width,
                    provenance: inputs.map { _ in .plain() })
            }
            let reply = try await InferenceService(catalog: OneModel(model: model)).similarity(
                SimilarityRequest(model: "m", sources: ["a"], sentences: ["b"]))
            let (a, b) = ((0..<width).map { Double($0 + 1) }, (0..<width).map { Double($0 + 2) })
            func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
            #expect(abs(Double(reply.scores[0][0]) - dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()) < 1e-6)
        }
    }

    @Test("Every operation refuses models for another task, and says where they are asked")
    func tasks() async throws {
        for (task, route) in [(ModelDescription.Task.embedding, "/v1/embeddings"), (.rerank, "/v1/rerank"), (.classify, "/v1/classify")] {
            let service = service(task, labels: task == .embedding ? [] : ["a"]) { _ in task == .embedding ? [1, 1] : [1] }
            var refused: [ApusError] = []
            func attempt(_ body: () async throws(ApusError) -> Void) async { do throws(ApusError) { try await body() } catch { refused.append(error) } }
            await attempt { () throws(ApusError) in _ = try await service.embed(EmbedRequest(model: "m", inputs: [.text("x")])) }
            await attempt { () throws(ApusError) in _ = try await service.rerank(RerankRequest(model: "m", query: "q", documents: ["d"])) }
            await attempt { () throws(ApusError) in _ = try await service.classify(ClassifyRequest(model: "m", inputs: [.text("x")])) }
            await attempt { () throws(ApusError) in
                _ = try await service.similarity(SimilarityRequest(model: "m", sources: ["x"], sentences: ["y"]))
            }
            #expect(refused.count == (task == .embedding ? 2 : 3))
            #expect(refused.allSatisfy { $0.code == .unsupportedTask && $0.place == "model" && $0.advice?.contains(route) == true })
        }
    }

    @Test("One request may hold so many texts, sources and sentences together")
    func limits() async throws {
        let service = service(.embedding) { _ in [1, 1] }
        let error = await #expect(throws: ApusError.self) {
            try await service.similarity(
                SimilarityRequest(model: "m", sources: Array(repeating: "a", count: 1025), sentences: Array(repeating: "b", count: 1024)))
        }
        #expect(error?.code == .arrayTooLong)
    }
}
