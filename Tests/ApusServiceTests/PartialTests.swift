import ApusErrors
import ApusService
import Synchronization
import Testing

@Suite("Partial answers")
struct PartialTests {
    /// The `n`th input that the model is given becomes (n, 1); those of `failing` fail.
    private func service(
        failing: [Int: ApusError] = [:], seen: @escaping @Sendable ([EmbeddingInput]) -> Void = { _ in }
    ) -> InferenceService {
        let model = FixedModel { inputs, _ in
            seen(inputs)
            return EmbeddingBatch(
                vectors: inputs.indices.flatMap { failing[$0] == nil ? [Float($0), 1] : [0, 0] }, dimensions: 2,
                provenance: inputs.indices.map { failing[$0] == nil ? .plain() : .none }, failures: failing)
        }
        return InferenceService(catalog: OneModel(model: model))
    }

    private func request(_ inputs: [EmbeddingInput], partial: Bool = true, faults: [Int: ApusError] = [:]) -> EmbedRequest {
        EmbedRequest(model: "m", inputs: inputs, options: EmbeddingOptions(partial: partial), faults: faults)
    }

    @Test("What fails alone stays out of the batch, and the others get their vectors in their places")
    func ownFailures() async throws {
        let given = Mutex<[EmbeddingInput]>([])
        let service = service { inputs in given.withLock { $0 = inputs } }
        let inputs: [EmbeddingInput] = [.text(""), .text("a"), .tokens([10]), .tokens([]), .text("b"), .tokens([])]
        let fault = ApusError(.invalidToken, "too large", place: "input")
        let reply = try await service.embed(request(inputs, faults: [3: fault]))
        #expect(given.withLock { $0 } == [.text("a"), .text("b")])
        #expect(reply.batch.vectors == [0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0])
        let failures = reply.batch.failures
        #expect(failures.mapValues(\.code) == [0: .emptyInput, 2: .invalidToken, 3: .invalidToken, 5: .emptyInput])
        #expect(failures.mapValues(\.place) == [0: "input[0]", 2: "input[2]", 3: "input[3]", 5: "input[5]"])
        #expect(failures[3]?.message == "too large")
        // Only what was run is counted.
        #expect(reply.promptTokens == 6)
        #expect(reply.summary.devices == ["cpu:0"])
        #expect(reply.summary.cacheMisses == 2)
    }

    @Test("What the model refuses finds its place among those that were refused before")
    func modelFailures() async throws {
        let service = service(failing: [1: ApusError(.contextLengthExceeded, "long", place: "input[1]"), 2: ApusError(.requestQuarantined, "bad")])
        let reply = try await service.embed(request([.text(""), .text("a"), .text("b"), .text("c"), .text("d")]))
        #expect(reply.batch.vectors == [0, 0, 0, 1, 0, 0, 0, 0, 3, 1])
        #expect(reply.batch.failures.mapValues(\.code) == [0: .emptyInput, 2: .contextLengthExceeded, 3: .requestQuarantined])
        #expect(reply.batch.failures[2]?.place == "input[2]")
        #expect(reply.batch.failures[3]?.place == nil)
    }

    @Test("Cutting keeps failures where they are")
    func cut() async throws {
        let service = service(failing: [0: ApusError(.engineFailure, "x")])
        var request = request([.text("a"), .text("b")])
        request.dimensions = 1
        let batch = try await service.embed(request).batch
        #expect(batch.vectors == [0, 1])
        #expect(batch.failures.keys.sorted() == [0])
    }

    @Test("When everything failed, the first failure is the answer")
    func everything() async throws {
        let unasked = service { _ in Issue.record("the model was asked") }
        let own = await #expect(throws: ApusError.self) { try await unasked.embed(request([.tokens([99]), .text("")])) }
        #expect(own?.code == .invalidToken)
        let failing = service(failing: [0: ApusError(.requestQuarantined, "bad"), 1: ApusError(.engineFailure, "x")])
        let mixed = await #expect(throws: ApusError.self) { try await failing.embed(request([.text("a"), .text("b"), .text("")])) }
        #expect(mixed?.code == .requestQuarantined)
    }

    @Test("Unasked, the first failure of an input is the request's")
    func unasked() async throws {
        let unreached = service { _ in Issue.record("the model was asked") }
        let own = await #expect(throws: ApusError.self) {
            try await unreached.embed(request([.text("a"), .text(""), .tokens([99])], partial: false))
        }
        #expect(own?.code == .emptyInput)
        let fault = await #expect(throws: ApusError.self) {
            try await unreached.embed(request([.text("a"), .tokens([]), .text("")], partial: false, faults: [1: ApusError(.invalidToken, "x")]))
        }
        #expect(fault?.code == .invalidToken)
        let model = service(failing: [1: ApusError(.requestQuarantined, "bad")])
        let theirs = await #expect(throws: ApusError.self) { try await model.embed(request([.text("a"), .text("b")], partial: false)) }
        #expect(theirs?.code == .requestQuarantined)
    }

    @Test("What is wrong with the request as a whole is nobody's own failure")
    func whole() async throws {
        let service = service()
        var wide = request([.text("a")])
        wide.dimensions = 3
        for (request, code) in [(request([]), ApusError.Code.emptyInput), (wide, .invalidValue)] {
            let error = await #expect(throws: ApusError.self) { try await service.embed(request) }
            #expect(error?.code == code)
        }
    }
}
