import ApusBatching
import ApusErrors
import Testing

@Suite struct BatchPolicyTests {
    private func refusal(_ make: () throws -> BatchPolicy) -> String? {
        do {
            _ = try make()
            return nil
        } catch {
            guard let error = error as? ApusError, error.code == .invalidValue else { return nil }
            return error.message
        }
    }

    @Test func valuesOutOfRangeAreRefusedByName() {
        let settings: [(String, () throws -> BatchPolicy)] = [
            ("maximum wait", { try BatchPolicy(maxWait: .seconds(-1)) }),
            ("maximum wait", { try BatchPolicy(maxWait: .seconds(Int64.max)) }),
            ("token budget", { try BatchPolicy(tokenBudget: 0) }),
            ("token budget", { try BatchPolicy(tokenBudget: 1 << 30) }),
            ("maximum batch size", { try BatchPolicy(maxBatchSize: -1) }),
            ("target latency", { try BatchPolicy(targetLatency: .zero) }),
            ("latency target of the high class", { try BatchPolicy(highLatencyTarget: .zero) }),
            ("age bound", { try BatchPolicy(ageBound: .seconds(-1)) }),
            ("maximum queue", { try BatchPolicy(maxQueue: .zero) }),
            ("maximum of queued tokens", { try BatchPolicy(maxQueuedTokens: 0) }),
            ("low", { try BatchPolicy(shares: [.high: 1, .medium: 1]) }),
            ("high", { try .priority(high: 0) }),
            ("medium", { try .priority(medium: .nan) }),
            ("low", { try .priority(low: -1) }),
            ("low", { try .priority(high: 1000, medium: 1000, low: 1e-3) }),
            ("target latency", { try .adaptive(targetLatency: .seconds(-1)) }),
            ("maximum batch size", { try .dynamic(maxBatchSize: 0) }),
        ]
        for (name, make) in settings {
            let message = refusal(make)
            #expect(message?.contains(name) == true, "\(name): \(message ?? "accepted")")
        }
    }

    @Test func sharesAreDividedByTheirSum() throws {
        let policy = try BatchPolicy.priority(high: 5, medium: 3, low: 2)
        #expect(policy.shares == [.high: 0.5, .medium: 0.3, .low: 0.2])
        #expect(try BatchPolicy().shares == policy.shares)
    }

    @Test func theNamedBatchersAreConfigurationsOfOne() throws {
        #expect(try BatchPolicy.dynamic() == (try BatchPolicy()))
        #expect(try BatchPolicy.dynamic(maxWait: .zero, maxBatchSize: 4, tokenBudget: 9).tokenBudget == 9)
        #expect(try BatchPolicy.adaptive(targetLatency: .milliseconds(5)).targetLatency == .milliseconds(5))
        #expect(try BatchPolicy.priority(low: 0.5).shares[.high] == 0.5 / 1.3)
    }
}
