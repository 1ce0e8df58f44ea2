import ApusErrors
import NIOConcurrencyHelpers

/// Holds each key to its requests and tokens a minute.
final class KeyLimiter: Sendable {
    /// Tokens that a request has taken in advance, to be put right when it is known what it came to.
    struct Charge: Sendable {
        fileprivate let client: Int
        fileprivate let tokens: Int
    }

    private enum Verdict {
        case unlimited
        case admitted
        case refused(ApusError)
    }

    private struct Allowance {
        var requests: RateBucket?
        var tokens: RateBucket?
    }

    private let now: @Sendable () -> ContinuousClock.Instant
    private let allowances: NIOLockedValueBox<[Int: Allowance]>

    init(_ access: AccessControl, now: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.now = now
        let start = now()
        var allowances: [Int: Allowance] = [:]
        for (index, key) in access.keys.enumerated() {
            let limits = key.limits
            guard limits.requestsPerMinute != nil || limits.tokensPerMinute != nil else { continue }
            allowances[index + 1] = Allowance(
                requests: limits.requestsPerMinute.map { RateBucket(perMinute: $0, now: start) },
                tokens: limits.tokensPerMinute.map { RateBucket(perMinute: $0, now: start) })
        }
        self.allowances = NIOLockedValueBox(allowances)
    }

    /// Takes one request and `tokens` tokens off what the key may use; a request that is refused takes nothing.
    /// - Returns: nil for who has no limits.
    /// - Throws: `.rateLimitExceeded` with a ``RetryHint``.
    func admit(_ client: ClientKey?, tokens: Int) throws(ApusError) -> Charge? {
        guard let client else { return nil }
        return switch verdict(client, tokens: tokens, isTaking: true) {
        case .unlimited: nil
        case .admitted: Charge(client: client.number, tokens: tokens)
        case .refused(let refusal): throw refusal
        }
    }

    /// Throws when a request without any tokens would be refused now, and takes nothing.
    func requireRoom(_ client: ClientKey?) throws(ApusError) {
        guard let client, case .refused(let refusal) = verdict(client, tokens: 0, isTaking: false) else { return }
        throw refusal
    }

    private func verdict(_ client: ClientKey, tokens: Int, isTaking: Bool) -> Verdict {
        let now = now()
        return allowances.withLockedValue { allowances in
            guard var allowance = allowances[client.number] else { return .unlimited }
            let waits = [
                ("requests", allowance.requests?.wait(for: 1, now: now) ?? 0),
                ("tokens", allowance.tokens?.wait(for: Double(tokens), now: now) ?? 0),
            ]
            let longest = waits[0].1 >= waits[1].1 ? waits[0] : waits[1]
            if longest.1 <= 0, isTaking {
                allowance.requests?.take(1)
                allowance.tokens?.take(Double(tokens))
            }
            allowances[client.number] = allowance
            guard longest.1 > 0 else { return .admitted }
            return .refused(
                ApusError(
                    .rateLimitExceeded, "the API key '\(client.name)' has used up its \(longest.0) per minute",
                    cause: RetryHint(seconds: Int(longest.1.rounded(.up)))))
        }
    }

    /// Puts a charge right once it is known how many tokens were run.
    func settle(_ charge: Charge?, tokens: Int) {
        guard let charge else { return }
        allowances.withLockedValue { $0[charge.client]?.tokens?.take(Double(tokens) - Double(charge.tokens)) }
    }

    /// The server could not do what was asked: it costs the client nothing, so that who comes back as told is not refused for it.
    func giveBack(_ charge: Charge?) {
        guard let charge else { return }
        allowances.withLockedValue { allowances in
            allowances[charge.client]?.tokens?.take(-Double(charge.tokens))
            allowances[charge.client]?.requests?.take(-1)
        }
    }
}
