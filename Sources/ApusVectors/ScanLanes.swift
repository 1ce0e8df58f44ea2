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
    func run(units: Int, _ body: @escaping @Sendable (_ worker: Int, _ unit: Int) -> Void) async throws(ApusError) {
        let workers = min(count, units)
        guard workers > 0 else { return }
        let job = ScanJob(units: units, workers: workers, body)
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
        var working: Int
        var isCancelled = false
        var continuation: CheckedContinuation<Void, Never>?
    }

    private let units: Int
    private let body: @Sendable (Int, Int) -> Void
    private let state: NIOLockedValueBox<State>

    init(units: Int, workers: Int, _ body: @escaping @Sendable (Int, Int) -> Void) {
        self.units = units
        self.body = body
        state = NIOLockedValueBox(State(working: workers))
    }

    func begin(_ continuation: CheckedContinuation<Void, Never>) {
        state.withLockedValue { $0.continuation = continuation }
    }

    func cancel() {
        state.withLockedValue { $0.isCancelled = true }
    }

    /// Whether there is more to do when the turn is over.
    func work(_ worker: Int, for turn: Duration) -> Bool {
        let end = ContinuousClock.now + turn
        while let unit = nextUnit() {
            body(worker, unit)
            if ContinuousClock.now > end { return true }
        }
        let done = state.withLockedValue { state -> CheckedContinuation<Void, Never>? in
            state.working -= 1
            return state.working == 0 ? state.continuation : nil
        }
        done?.resume()
        return false
    }

    private func nextUnit() -> Int? {
        state.withLockedValue { state in
            guard state.next < units, !state.isCancelled else { return nil }
            state.next += 1
            return state.next - 1
        }
    }
}
