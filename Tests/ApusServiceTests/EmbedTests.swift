import ApusErrors
import ApusService
import Testing

@Suite("Embedding")
struct EmbedTests {
    private func service(
        dimensions: Int = 2,
        limits: ServiceLimits = .standard,
        _ answer: @escaping @Sendable ([EmbeddingInput], EmbeddingOptions) async throws -> EmbeddingBatch
    ) -> InferenceService {
        InferenceService(catalog: OneModel(model: FixedModel(dimensions: dimensions, answer: answer)), limits: limits)
    }

    private func service(vectors: [Float], dimensions: Int, rows: Int = 1) -> InferenceService {
        service(dimensions: dimensions) { _, _ in
            EmbeddingBatch(vectors: vectors, dimensions: dimensions, provenance: Array(repeating: .plain(), count: rows))
        }
    }

    private func code(_ service: InferenceService, _ request: EmbedRequest) async -> ApusError.Code? {
        do throws(ApusError) {
            _ = try await service.embed(request)
            return nil
        } catch {
            return error.code
        }
    }

    @Test("The model gets the inputs and options of the request")
    func handsOver() async throws {
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        let service = service { inputs, options in
            #expect(inputs == [.text("a"), .tokens([1, 2])])
            #expect(options.truncation == .refuse)
            #expect(options.priority == .high)
            #expect(options.deadline == deadline)
            return EmbeddingBatch(vectors: [1, 0, 0, 1], dimensions: 2, provenance: [.plain(), .plain(tokens: 4, original: 9)])
        }
        let reply = try await service.embed(
            EmbedRequest(
                model: "m", inputs: [.text("a"), .tokens([1, 2])],
                options: EmbeddingOptions(truncation: .refuse, deadline: deadline, priority: .high)
            )
        )
        #expect(reply.batch.vectors == [1, 0, 0, 1])
        #expect(reply.promptTokens == 7)
        #expect(reply.summary.truncated == 1)
    }

    @Test("Each limit has its code, and the value at the limit passes")
    func limits() async throws {
        let limits = try ServiceLimits(maxInputs: 2, maxInputBytes: 4)
        let service = service(limits: limits) { inputs, _ in
            EmbeddingBatch(
                vectors: Array(repeating: 1, count: inputs.count * 2), dimensions: 2,
                provenance: Array(repeating: .plain(), count: inputs.count)
            )
        }
        let rows: [([EmbeddingInput], Int?, ApusError.Code?)] = [
            ([.text("abcd"), .text("é")], nil, nil),
            ([], nil, .emptyInput),
            ([.text("")], nil, .emptyInput),
            ([.tokens([])], nil, .emptyInput),
            ([.text("abcde")], nil, .stringTooLong),
            ([.text("ééé")], nil, .stringTooLong),
            ([.text("a"), .text("a"), .text("a")], nil, .arrayTooLong),
            ([.tokens([0, 9])], nil, nil),
            ([.tokens([10])], nil, .invalidToken),
            ([.tokens([-1])], nil, .invalidToken),
            ([.text("a")], 1, nil),
            ([.text("a")], 2, nil),
            ([.text("a")], 3, .invalidValue),
            ([.text("a")], 0, .invalidValue),
            ([.text("a")], .min, .invalidValue),
        ]
        for (inputs, dimensions, expected) in rows {
            let request = EmbedRequest(model: "m", inputs: inputs, dimensions: dimensions)
            #expect(await code(service, request) == expected, "\(inputs) \(String(describing: dimensions))")
        }
        #expect(await code(service, EmbedRequest(model: "n", inputs: [.text("a")])) == .modelNotFound)
        #expect(throws: ApusError.self) { try ServiceLimits(maxInputs: 0, maxInputBytes: 1) }
        #expect(throws: ApusError.self) { try ServiceLimits(maxInputs: 1, maxInputBytes: 0) }
    }

    @Test("A cut vector has length 1, a vector of zeros stays, and a full one is untouched")
    func dimensions() async throws {
        let service = service(vectors: [3, 4, 12, 0, 0, 5], dimensions: 3, rows: 2)
        let inputs: [EmbeddingInput] = [.text("a"), .text("b")]
        let cut = try await service.embed(EmbedRequest(model: "m", inputs: inputs, dimensions: 2)).batch
        #expect(cut.dimensions == 2)
        #expect(cut.vectors == [0.6, 0.8, 0, 0])
        let full = try await service.embed(EmbedRequest(model: "m", inputs: inputs, dimensions: 3)).batch
        #expect(full.vectors == [3, 4, 12, 0, 0, 5])
    }

    @Test("A batch of the wrong shape or with numbers that are not finite never reaches a client")
    func brokenBatches() async throws {
        let request = EmbedRequest(model: "m", inputs: [.text("a")])
        #expect(await code(service(vectors: [1, 2, 3], dimensions: 2), request) == .internalError)
        #expect(await code(service(vectors: [1, 2], dimensions: 2, rows: 2), request) == .internalError)
        #expect(await code(service(vectors: [], dimensions: 0), request) == .internalError)
        #expect(await code(service(vectors: [1, .nan], dimensions: 2), request) == .wrongAnswer)
        #expect(await code(service(vectors: [-.infinity, 1], dimensions: 2), request) == .wrongAnswer)
        #expect(await code(service(vectors: [.greatestFiniteMagnitude, -1], dimensions: 2), request) == nil)
    }

    @Test("Errors of the model pass through, foreign ones become internal and keep their cause")
    func errors() async throws {
        struct Foreign: Error {}
        let request = EmbedRequest(model: "m", inputs: [.text("a")])
        let overloaded = service { _, _ in throw ApusError(.overloaded, "full", cause: RetryHint(seconds: 3)) }
        let told = await #expect(throws: ApusError.self) { try await overloaded.embed(request) }
        #expect(told?.code == .overloaded)
        #expect(told?.cause as? RetryHint == RetryHint(seconds: 3))
        let broken = service { _, _ in throw Foreign() }
        let hidden = await #expect(throws: ApusError.self) { try await broken.embed(request) }
        #expect(hidden?.code == .internalError)
        #expect(hidden?.cause is Foreign)
        #expect(await code(service { _, _ in throw CancellationError() }, request) == .cancelled)
    }

    @Test("A deadline in the past costs no run, one that passes cancels it")
    func deadlines() async throws {
        let unasked = service { _, _ in
            Issue.record("the model was asked")
            throw CancellationError()
        }
        let past = EmbeddingOptions(deadline: .now.advanced(by: .seconds(-1)))
        #expect(await code(unasked, EmbedRequest(model: "m", inputs: [.text("a")], options: past)) == .deadlineExceeded)

        let endless = service { _, _ in
            try await Task.sleep(for: .seconds(3600))
            throw ApusError(.engineFailure, "it was not cancelled")
        }
        let soon = EmbeddingOptions(deadline: .now.advanced(by: .milliseconds(20)))
        #expect(await code(endless, EmbedRequest(model: "m", inputs: [.text("a")], options: soon)) == .deadlineExceeded)
    }

    @Test("While draining new work is refused and readiness is gone")
    func draining() async throws {
        let service = service(vectors: [1, 0], dimensions: 2)
        let request = EmbedRequest(model: "m", inputs: [.text("a")])
        #expect(await code(service, request) == nil)
        service.beginDraining()
        #expect(await code(service, request) == .shuttingDown)
        #expect(service.readiness().draining)
        #expect(!service.readiness().isReady)
    }

    @Test("Model names are compared byte for byte")
    func modelNames() throws {
        let composed = InferenceService(catalog: OneModel(model: FixedModel("\u{E9}") { _, _ in throw CancellationError() }))
        #expect(try composed.findModel("\u{E9}").id == "\u{E9}")
        #expect(throws: ApusError.self) { try composed.findModel("e\u{301}") }
    }
}
