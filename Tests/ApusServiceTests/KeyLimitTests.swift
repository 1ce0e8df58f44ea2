import ApusErrors
import ApusService
import Synchronization
import Testing

@Suite("Limits of keys")
struct KeyLimitTests {
    /// A clock that goes when it is told.
    private final class HandClock: Sendable {
        private let start = ContinuousClock.now
        private let elapsed = Mutex(Duration.zero)

        var now: ContinuousClock.Instant { start + elapsed.withLock { $0 } }
        func advance(_ duration: Duration) { elapsed.withLock { $0 += duration } }
    }

    private struct Setup {
        let service: InferenceService
        let clock: HandClock
        let callers: [Caller]
    }

    /// Two keys, the first with `limits`. The model runs `tokens` tokens for each input.
    private func setup(
        _ limits: AccessKey.Limits, tokens: Int = 3, failing: ApusError? = nil, seen: @escaping @Sendable (EmbeddingOptions) -> Void = { _ in },
        highest: EmbeddingOptions.Priority = .high
    ) throws -> Setup {
        let keys = [
            try AccessKey(name: "limited", sha256: AccessKey.sha256(of: "1"), limits: limits, highestPriority: highest),
            try AccessKey(name: "free", sha256: AccessKey.sha256(of: "2")),
        ]
        let access = try AccessControl(keys: keys)
        let clock = HandClock()
        let model = FixedModel { inputs, options in
            seen(options)
            if let failing { throw failing }
            return EmbeddingBatch(
                vectors: Array(repeating: 1, count: inputs.count * 2), dimensions: 2,
                provenance: Array(repeating: .plain(tokens: tokens, original: tokens), count: inputs.count))
        }
        return Setup(
            service: InferenceService(catalog: OneModel(model: model), access: access, now: { clock.now }), clock: clock,
            callers: try ["1", "2"].map { try access.caller(presenting: $0) })
    }

    private func refusal(_ setup: Setup, of caller: Int = 0, inputs: [EmbeddingInput] = [.text("abcd")]) async -> ApusError? {
        do throws(ApusError) {
            _ = try await setup.service.embed(EmbedRequest(model: "m", inputs: inputs), for: setup.callers[caller])
            return nil
        } catch {
            return error
        }
    }

    @Test("A minute's requests may be sent at once, the next when the first has come back, and others are not held up")
    func requests() async throws {
        let setup = try setup(AccessKey.Limits(requestsPerMinute: 3))
        for _ in 0..<3 { #expect(await refusal(setup) == nil) }
        let error = try #require(await refusal(setup))
        #expect(error.code == .rateLimitExceeded)
        #expect(error.message == "the API key 'limited' has used up its requests per minute")
        #expect(error.cause as? RetryHint == RetryHint(seconds: 20))
        for _ in 0..<50 { #expect(await refusal(setup, of: 1) == nil) }
        setup.clock.advance(.milliseconds(15_500))
        #expect(await refusal(setup)?.cause as? RetryHint == RetryHint(seconds: 5))
        setup.clock.advance(.milliseconds(4_500))
        #expect(await refusal(setup) == nil)
        #expect(await refusal(setup) != nil)
        // However long it is left alone, a minute's worth is all there is.
        setup.clock.advance(.seconds(3_600))
        for _ in 0..<3 { #expect(await refusal(setup) == nil) }
        #expect(await refusal(setup) != nil)
    }

    @Test("Tokens are booked as they were run, not as they were estimated")
    func tokens() async throws {
        // "abcd" is estimated at 3 tokens, and the model says it were 40.
        let setup = try setup(AccessKey.Limits(tokensPerMinute: 60), tokens: 40)
        #expect(await refusal(setup) == nil)
        #expect(await refusal(setup) == nil)
        // 80 of 60 are used: 23 seconds until 3 are there.
        let error = try #require(await refusal(setup))
        #expect(error.code == .rateLimitExceeded)
        #expect(error.message == "the API key 'limited' has used up its tokens per minute")
        #expect(error.cause as? RetryHint == RetryHint(seconds: 23))
        setup.clock.advance(.seconds(23))
        #expect(await refusal(setup) == nil)
    }

    @Test("Fewer tokens than estimated are given back")
    func overestimated() async throws {
        // The longest that the model takes: 4 tokens an input. Run: 1.
        let setup = try setup(AccessKey.Limits(tokensPerMinute: 8), tokens: 1)
        let long = EmbeddingInput.text(String(repeating: "x", count: 1_000))
        for _ in 0..<5 { #expect(await refusal(setup, inputs: [long]) == nil) }
        #expect(await refusal(setup, inputs: [long]) != nil)
    }

    @Test("A request of more than a minute's tokens is taken when all of them are there, and paid for afterwards")
    func large() async throws {
        let setup = try setup(AccessKey.Limits(tokensPerMinute: 60), tokens: 3)
        let inputs = Array(repeating: EmbeddingInput.text("abcd"), count: 40)
        #expect(await refusal(setup, inputs: inputs) == nil)
        // 120 tokens were run: two minutes to a full bucket.
        #expect(await refusal(setup, inputs: inputs)?.cause as? RetryHint == RetryHint(seconds: 120))
        setup.clock.advance(.seconds(120))
        #expect(await refusal(setup, inputs: inputs) == nil)
    }

    @Test("A refused request uses up nothing")
    func refused() async throws {
        let setup = try setup(AccessKey.Limits(requestsPerMinute: 2, tokensPerMinute: 3), tokens: 3)
        #expect(await refusal(setup) == nil)
        for _ in 0..<10 { #expect(await refusal(setup)?.message.contains("tokens") == true) }
        setup.clock.advance(.seconds(60))
        #expect(await refusal(setup) == nil)
        // Of two requests a minute, one came back and one was left.
        setup.clock.advance(.seconds(60))
        #expect(await refusal(setup) == nil)
    }

    @Test("What the server fails at costs no tokens, what the client gives up does")
    func failures() async throws {
        let limits = AccessKey.Limits(tokensPerMinute: 3)
        let broken = try setup(limits, failing: ApusError(.engineFailure, "x"))
        for _ in 0..<3 { #expect(await refusal(broken)?.code == .engineFailure) }
        let late = try setup(limits, failing: ApusError(.deadlineExceeded, "x"))
        #expect(await refusal(late)?.code == .deadlineExceeded)
        #expect(await refusal(late)?.code == .rateLimitExceeded)
    }

    @Test("What a request cannot be is told before its limits are looked at")
    func wrongRequests() async throws {
        let setup = try setup(AccessKey.Limits(requestsPerMinute: 1))
        for _ in 0..<3 { #expect(await refusal(setup, inputs: [.text("")])?.code == .emptyInput) }
        #expect(await refusal(setup) == nil)
        #expect(await refusal(setup)?.code == .rateLimitExceeded)
    }

    @Test("The model is told the key, and no higher class than the key's")
    func options() async throws {
        let seen = Mutex<[EmbeddingOptions]>([])
        let setup = try setup(AccessKey.Limits(queueSeconds: 2.5), seen: { options in seen.withLock { $0.append(options) } }, highest: .medium)
        // What the caller says about its key is not believed.
        var options = EmbeddingOptions(priority: .high, client: ClientKey(number: 9, name: "forged"))
        _ = try await setup.service.embed(EmbedRequest(model: "m", inputs: [.text("a")], options: options), for: setup.callers[0])
        options.priority = .low
        _ = try await setup.service.embed(EmbedRequest(model: "m", inputs: [.text("a")], options: options), for: setup.callers[0])
        options.priority = .high
        _ = try await setup.service.embed(EmbedRequest(model: "m", inputs: [.text("a")], options: options), for: setup.callers[1])
        let told = seen.withLock { $0 }
        #expect(told.map(\.priority) == [.medium, .low, .high])
        let limited = ClientKey(number: 1, name: "limited", queueSeconds: 2.5)
        #expect(told.map(\.client) == [limited, limited, ClientKey(number: 2, name: "free")])
    }

    @Test("A key that may not infer gets no vectors, whatever door it came through")
    func scope() async throws {
        let key = try AccessKey(name: "n", sha256: AccessKey.sha256(of: "k"), scopes: [.metrics, .admin])
        let access = try AccessControl(keys: [key])
        let service = InferenceService(
            catalog: OneModel(model: FixedModel { _, _ in throw ApusError(.engineFailure, "it was asked") }), access: access)
        let caller = try access.caller(presenting: "k")
        let error = await #expect(throws: ApusError.self) {
            try await service.embed(EmbedRequest(model: "m", inputs: [.text("a")]), for: caller)
        }
        #expect(error?.code == .insufficientScope)
    }

    @Test("Over a long random run, a bucket gives out its rate and one full bucket, and never more")
    func bucket() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let perMinute = Int.random(in: 1...10_000, using: &generator)
            let start = ContinuousClock.now
            var bucket = RateBucket(perMinute: perMinute, now: start)
            var now = start
            var taken = 0.0
            for _ in 0..<200 {
                now += .milliseconds(Int.random(in: 0...5_000, using: &generator))
                let amount = Double.random(in: 0...Double(perMinute), using: &generator)
                let wait = bucket.wait(for: amount, now: now)
                #expect(wait >= 0 && wait <= 60)
                if wait > 0 {
                    // What it says is enough, and a hundredth less is not.
                    var early = bucket
                    #expect(early.wait(for: amount, now: now + .seconds(wait * 0.99)) > 0)
                    now += .seconds(wait * (1 + 1e-6) + 1e-6)
                    #expect(bucket.wait(for: amount, now: now) == 0)
                }
                bucket.take(amount)
                taken += amount
            }
            let minutes = start.duration(to: now) / .seconds(60)
            #expect(taken <= Double(perMinute) * (1 + minutes) * (1 + 1e-6))
        }
    }

    @Test("Who has used up what the key may is told so before anything is asked, and the question takes nothing")
    func roomIsAskedForFirst() async throws {
        let setup = try setup(.init(requestsPerMinute: 1))
        let (limited, free) = (setup.callers[0], setup.callers[1])
        for _ in 0..<3 { try setup.service.requireRoom(EmbeddingOptions(), for: limited) }
        _ = try await setup.service.embed(EmbedRequest(model: "m", inputs: [.text("a")]), for: limited)
        #expect { try setup.service.requireRoom(EmbeddingOptions(), for: limited) } throws: {
            ($0 as? ApusError)?.code == .rateLimitExceeded && ($0 as? ApusError)?.cause is RetryHint
        }
        try setup.service.requireRoom(EmbeddingOptions(), for: free)
        setup.clock.advance(.seconds(61))
        try setup.service.requireRoom(EmbeddingOptions(), for: limited)
    }
}
