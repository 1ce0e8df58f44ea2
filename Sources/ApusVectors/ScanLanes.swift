import ApusErrors
import ApusExecution
import NIOConcurrencyHelpers

/// Spreads a scan over threads of its own, so that neither the caller's thread nor Swift's cooperative pool is blocked.
final class ScanLanes: Sendable {
    let count: Int
    private let lanes: LaneThreads

    init(count: Int) {
        self.count = max(1, count)
        lanes = LaneThreads(count: self.count, name: "scan", stackBytes: 1 << 20)
    }

    deinit {
        lanes.close()
    }

    /// Calls `body` for units `0 ..< units`, each once, from up to ``count`` workers; a worker's units ascend, and a worker is on one thread
    /// at a time. Throws `cancelled` when the surrounding task is; what runs then is finished, the rest left out.
    ///
    /// Returns when the last unit is done, whether or not every worker has come to its turn: a core that is busy with something else delays
    /// nobody.
    func run(units: Int, _ body: @escaping @Sendable (_ worker: Int, _ unit: Int) -> Void) async throws(ApusError) {
        let workers = min(count, units)
        guard workers > 0 else { return }
        let job = ScanJob(units: units, body)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                job.begin(continuation)
                for worker in 0..<workers { submit(job, worker) }
            }
        } onCancel: {
            job.cancel()
        }
        if Task.isCancelled { throw Self.cancelled }
    }

    static var cancelled: ApusError { ApusError(.cancelled, "the caller gave up before the search was done") }

    private func submit(_ job: ScanJob, _ worker: Int) {
        lanes.submit { [self] in
            // After its turn a long search stands behind those that came meanwhile.
            if job.work(worker, for: .milliseconds(5)) { submit(job, worker) }
        }
    }
}

private final class ScanJob: Sendable {
    private struct State {
        var next = 0
        /// Units that workers are at.
        var running = 0
        var isCancelled = false
        var continuation: CheckedContinuation<Void, Never>?
    }

    private let units: Int
    private let body: @Sendable (Int, Int) -> Void
    private let state = NIOLockedValueBox(State())

    init(units: Int, _ body: @escaping @Sendable (Int, Int) -> Void) {
        (self.units, self.body) = (units, body)
    }

    func begin(_ continuation: CheckedContinuation<Void, Never>) {
        change { $0.continuation = continuation }
    }

    func cancel() {
        change { $0.isCancelled = true }
    }

    /// Whether there is more to do when the turn is over.
    func work(_ worker: Int, for turn: Duration) -> Bool {
        let end = ContinuousClock.now + turn
        var unit = change(take)
        while let current = unit {
            body(worker, current)
            let isOver = ContinuousClock.now > end
            unit = change { state in
                state.running -= 1
                return isOver ? nil : take(&state)
            }
            if isOver { return change { $0.next < units && !$0.isCancelled } }
        }
        return false
    }

    private func take(_ state: inout State) -> Int? {
        guard state.next < units, !state.isCancelled else { return nil }
        defer { state.next += 1 }
        state.running += 1
        return state.next
    }

    /// Changes the state, and lets the caller go when nothing is left to wait for.
    private func change<Value>(_ body: (inout State) -> Value) -> Value {
        let (value, done) = state.withLockedValue { state -> (Value, CheckedContinuation<Void, Never>?) in
            let value = body(&state)
            guard state.running == 0, state.isCancelled || state.next == units else { return (value, nil) }
            defer { state.continuation = nil }
            return (value, state.continuation)
        }
        done?.resume()
        return value
    }
}
