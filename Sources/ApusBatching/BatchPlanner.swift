package import ApusErrors

/// Decides which sequences run together and when: events in, actions out, no clock and no tensors.
///
/// A batch is bound at the moment a lane is free and not before, so sequences of any connection share it. The oldest waiting
/// sequence is always in the next batch; the rest are those nearest to it in length, so that little is padded and nobody starves.
package struct BatchPlanner: Sendable {
    /// One sequence that waits. The caller chooses `id`, unique among those waiting.
    package struct Item: Sendable, Equatable {
        package var id: Int
        package var tokens: Int
        /// Nanoseconds on the caller's clock after which nobody wants the answer; nil waits for ever.
        package var deadline: Int?

        package init(id: Int, tokens: Int, deadline: Int? = nil) {
            self.id = id
            self.tokens = tokens
            self.deadline = deadline
        }
    }

    /// Whether items begin a request or belong to one that was taken before.
    package enum Admission: Sendable {
        case new
        /// Taken whatever waits: refusing the rest of a request would waste what was computed for it.
        case continuing
    }

    package enum Action: Sendable, Equatable {
        /// Run these together on the lane, now.
        case launch(lane: Int, ids: [Int])
        /// Their deadline passed before they ran.
        case expire(ids: [Int])
    }

    package let limits: BatchLimits
    private var idleLanes: [Int]
    private var waiting = WaitingLine()

    package init(limits: BatchLimits, lanes: Int) {
        self.limits = limits
        idleLanes = Array((0..<max(1, lanes)).reversed())
    }

    /// Sequences waiting to run.
    package var waitingCount: Int { waiting.count }
    /// Tokens waiting to run.
    package var waitingTokens: Int { waiting.tokens }

    /// Takes all of `items` or, when they do not fit into the queue, none. `now` is in nanoseconds on the caller's clock.
    ///
    /// Throws `overloaded`. Items larger than the whole queue are taken when nothing else waits.
    package mutating func enqueue(
        _ items: [Item], _ admission: Admission = .new, now: Int
    ) throws(ApusError) -> [Action] {
        let (tokens, overflow) = items.reduce((waiting.tokens, false)) { sum, item in
            let (total, overflow) = sum.0.addingReportingOverflow(item.tokens)
            return (total, sum.1 || overflow)
        }
        guard admission == .continuing || waiting.count == 0 || (!overflow && tokens <= limits.maxQueuedTokens) else {
            throw ApusError(
                .overloaded, "\(waiting.tokens) tokens are waiting, the limit is \(limits.maxQueuedTokens)",
                advice: "Send again later, or raise the limit of queued tokens")
        }
        for item in items { waiting.append(item) }
        return launch(now: now)
    }

    /// The lane finished its batch.
    package mutating func laneFinished(_ lane: Int, now: Int) -> [Action] {
        idleLanes.append(lane)
        return launch(now: now)
    }

    /// Takes back what does not run yet; what runs already is not stopped. Returns the ids that were still waiting.
    package mutating func cancel(_ ids: [Int]) -> [Int] {
        ids.filter { waiting.remove($0) }
    }

    private mutating func launch(now: Int) -> [Action] {
        var actions: [Action] = []
        while !idleLanes.isEmpty {
            let expired = waiting.removeExpired(now: now)
            if !expired.isEmpty { actions.append(.expire(ids: expired)) }
            guard waiting.count > 0, let lane = idleLanes.popLast() else { break }
            // Work that idle lanes could share is shared: half the work on each of two lanes is done in half the time.
            let share = (waiting.tokens + idleLanes.count) / (idleLanes.count + 1)
            let budget = min(limits.tokenBudget, max(share, 1))
            let ids = waiting.takeBatch(
                tokenBudget: budget, paddedBudget: 2 * limits.tokenBudget, maxCount: limits.maxBatchSize)
            actions.append(.launch(lane: lane, ids: ids))
        }
        return actions
    }
}
