import ApusConfiguration
import ApusErrors
import Testing

struct BatchingConfigurationTests {
    private func load(_ text: String, _ name: String = "a.yaml") throws -> LoadedConfiguration {
        try Configuration.load(text: text, name: name)
    }

    private func problem(_ text: String) -> String? {
        do {
            _ = try load(text)
            return nil
        } catch {
            return (error as? ApusError)?.message.split(separator: "\n").dropFirst().joined(separator: "|")
        }
    }

    @Test func `every setting of batching is read`() throws {
        let batching = try load("""
            batching:
              token_budget: 1024
              max_batch_size: 48
              max_wait_ms: 5
              target_latency_ms: 40
              shares: {high: 6, medium: 3, low: 1}
              high_latency_target_ms: 80
              max_queue_seconds: 2.5
            """).configuration.batching
        #expect((batching.tokenBudget, batching.maxSize) == (1_024, 48))
        #expect(batching.effectiveMaxWait == .milliseconds(5))
        #expect(batching.effectiveTargetLatency == .milliseconds(40))
        #expect(batching.shares == Configuration.Batching.Shares(high: 6, medium: 3, low: 1))
        #expect(batching.highLatencyTarget == .milliseconds(80))
        #expect(batching.maxQueue == .milliseconds(2_500))
        #expect(try load("").configuration.batching == Configuration.Batching())
    }

    @Test func `sizes follow a latency where one is named and nobody forbids it`() throws {
        let target = "batching: {target_latency_ms: 40}\n"
        let adaptive = try load(target + "gpu: {batch: {adaptive_sizing: true}}")
        #expect(adaptive.configuration.batching.effectiveTargetLatency == .milliseconds(40))
        #expect(adaptive.notes.isEmpty)
        #expect(try load(target + "gpu: {batch: {adaptive_sizing: false}}").configuration.batching.effectiveTargetLatency == nil)
        let ofOneModel = try load("models:\n  - {path: x, batching: {target_latency_ms: 40}}\ngpu: {batch: {adaptive_sizing: true}}")
        #expect(ofOneModel.notes.isEmpty)
        let alone = try load("gpu: {batch: {adaptive_sizing: true}}").notes
        #expect(alone.map(\.key) == ["gpu.batch.adaptive_sizing"])
    }

    @Test func `a batch waits as long as it is told, and not at all without dynamic batching`() throws {
        let waiting = "gpu: {batch: {timeout_ms: 100, dynamic_batching: true}}"
        #expect(try load(waiting).configuration.batching.effectiveMaxWait == .milliseconds(100))
        #expect(try load("gpu: {batch: {timeout_ms: 100, dynamic_batching: false}}").configuration.batching.effectiveMaxWait == .zero)
        #expect(try load(waiting).notes.isEmpty)
    }

    @Test func `what is said of one model goes before what is said of all`() throws {
        let text = """
            batching: {token_budget: 1024, max_wait_ms: 5, shares: {high: 6, medium: 3, low: 1}}
            models:
              - path: a
                batching: {token_budget: 512, target_latency_ms: 40, shares: {low: 2}}
              - b
            """
        let configuration = try load(text).configuration
        let toml = "[batching]\ntoken_budget = 1024\nmax_wait_ms = 5\nshares = { high = 6, medium = 3, low = 1 }\n[[models]]\npath = 'a'\n[models.batching]\ntoken_budget = 512\ntarget_latency_ms = 40\nshares.low = 2\n[[models]]\nname = 'b'\n"
        #expect(try load(toml, "a.toml").configuration == configuration)
        let first = configuration.models[0].batching.over(configuration.batching)
        #expect((first.tokenBudget, first.maxWait, first.targetLatency) == (512, .milliseconds(5), .milliseconds(40)))
        #expect(first.shares == Configuration.Batching.Shares(high: 6, medium: 3, low: 2))
        #expect(configuration.models[1].batching.over(configuration.batching) == configuration.batching)
    }

    @Test(arguments: [
        ("batching: {max_wait_ms: -1}", "a.yaml:1: batching.max_wait_ms: -1 is outside 0 to 60000"),
        ("batching: {target_latency_ms: 0}", "a.yaml:1: batching.target_latency_ms: 0 is outside 1 to 600000"),
        ("batching:\n  shares:\n    high: 0", "a.yaml:3: batching.shares.high: 0 is outside 1 to 1000"),
        ("batching:\n  shares: 3", "a.yaml:2: batching.shares: a section is wanted, not 3"),
        ("batching: {max_queue_seconds: .nan}", "a.yaml:1: batching.max_queue_seconds: nan is outside 0.001 to 86400.0"),
        ("batching: {target_latency: 3}", "a.yaml:1: batching.target_latency: unknown key 'target_latency': did you mean 'target_latency_ms'?"),
        ("batching:\n  shares: {high: 6}", "a.yaml:2: batching.shares: weights are named for all of high, medium and low, or for none"),
        ("models:\n  - path: x\n  - path: y\n    batching: {shares: {high: 6, low: 1}}", "a.yaml:1: models[1].batching.shares: weights are named for all of high, medium and low, or for none"),
        ("models:\n  - path: x\n    batching: 1", "a.yaml:3: models[0].batching: a section is wanted, not 1"),
        ("models:\n  - path: x\n    batching:\n      max_wiat_ms: 1", "a.yaml:4: models[0].batching.max_wiat_ms: unknown key 'max_wiat_ms': did you mean 'max_wait_ms'?"),
        ("models:\n  - path: x\n    batching:\n      shares: {hihg: 1}", "a.yaml:4: models[0].batching.shares.hihg: unknown key 'hihg': did you mean 'high'?"),
        ("models:\n  - path: x\n    batching:\n      token_budget: many", "a.yaml:4: models[0].batching.token_budget: a whole number is wanted, not \"many\""),
    ])
    func `what a batch cannot be is told with its place`(_ row: (text: String, problem: String)) {
        #expect(problem(row.text) == row.problem)
    }
}
