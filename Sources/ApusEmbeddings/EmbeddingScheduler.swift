package import ApusBatching
package import ApusErrors
package import ApusExecution
package import ApusGraph
import NIOConcurrencyHelpers
package import ApusTensor

/// Runs the sequences of many requests in shared batches, on every device that is open: carries out what ``BatchPlanner`` and
/// ``FailedBatch`` decide.
///
/// Devices come and go while requests wait. A sequence is answered once: with its vector, or with the error that ended it.
package final class EmbeddingScheduler: Sendable {
    package let dimensions: Int
    private let observer: (any BatchObserver)?
    private let metrics: EmbeddingMetrics
    private let clock = MonotonicClock()
    // NIO's lock and not the standard library's Mutex: ThreadSanitizer on Linux does not see the latter.
    private let state: NIOLockedValueBox<SchedulerState>

    /// `dimensions` are the elements of one vector. Nothing runs before ``open(_:)``.
    package init(dimensions: Int, limits: BatchLimits, metrics: EmbeddingMetrics, observer: (any BatchObserver)? = nil) {
        self.dimensions = dimensions
        self.metrics = metrics
        self.observer = observer
        state = NIOLockedValueBox(SchedulerState(planner: BatchPlanner(limits: limits)))
    }

    /// Tokens that wait for a lane.
    package var waitingTokens: Int {
        state.withLockedValue { $0.planner.waitingTokens }
    }

    /// Devices that take work now.
    package var openDevices: [DeviceID] {
        state.withLockedValue { $0.openDevices }
    }

    /// Seconds until what waits now has run, at the pace of the last batches; nil before the first and while no device is open.
    package var estimatedQueueSeconds: Double? {
        state.withLockedValue { state in
            guard let pace = state.secondsPerToken, state.planner.laneCount > 0 else { return nil }
            return pace * Double(state.planner.waitingTokens) / Double(state.planner.laneCount)
        }
    }

    /// The lanes of `replica` take work from now on.
    package func open(_ replica: EncoderReplica) {
        start(state.withLockedValue { $0.open(replica, now: clock.now) })
    }

    /// `device` takes no more work; what it runs is finished.
    package func close(_ device: DeviceID) {
        state.withLockedValue { $0.close(device) }
    }

    /// Changes the share of the token budget that batches on `device` fill, and what clients are told about it.
    package func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) {
        state.withLockedValue { $0.adjust(device, share: share, fallback: fallback) }
    }

    /// Sets the share of the queue that is open, 0 to 1.
    package func setCapacity(_ capacity: Double) {
        state.withLockedValue { $0.planner.capacity = capacity }
    }

    /// Ends what waits, and refuses what comes, with `error`, until a device opens.
    package func refuse(with error: ApusError) {
        start(state.withLockedValue { $0.refuseAll(error) })
    }

    /// Answers those whose deadline passed while no device was there to notice.
    package func expireWaiting() {
        start(state.withLockedValue { state in state.apply(state.planner.expire(now: clock.now)) })
    }

    /// Runs `count` sequences and answers in their order.
    ///
    /// `sequence` is asked for one after the other, and what it returned starts to run while the rest is made. Throws what it
    /// throws, `overloaded`, `deadline_exceeded`, `cancelled` (when the surrounding task is), `request_quarantined`, `no_device`, and
    /// the engine's failures; after a throw nothing of the request is left in the queue.
    package func run(
        count: Int, deadline: ContinuousClock.Instant?,
        _ sequence: (Int) throws(ApusError) -> EncoderBatch.Sequence
    ) async throws(ApusError) -> EmbeddedSequences {
        guard count > 0 else { return EmbeddedSequences(count: 0, dimensions: dimensions) }
        let id = state.withLockedValue { state in
            state.nextID += 1
            state.requests[state.nextID] = EmbeddingRequest(count: count, dimensions: dimensions)
            return state.nextID
        }
        do throws(ApusError) {
            try await enqueueAll(id, count, deadline.map { clock.nanoseconds(at: $0) }, sequence)
        } catch {
            finish(id, .failure(error))
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLockedValue { $0.wait(for: id, continuation) }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            finish(id, .failure(Self.cancelled))
        }
        return try result.get()
    }

    /// Sequences handed to the lanes together: enough to fill a batch, few enough to start soon.
    private static let chunk = 64
    /// How long one request may tokenise before others get their turn on the thread.
    private static let turn = 2_000_000

    private static let cancelled = ApusError(.cancelled, "the caller gave up before the answer was ready")

    private func enqueueAll(
        _ request: Int, _ count: Int, _ expiry: Int?, _ sequence: (Int) throws(ApusError) -> EncoderBatch.Sequence
    ) async throws(ApusError) {
        var chunk: [EncoderBatch.Sequence] = []
        var turnBegan = clock.now
        for row in 0..<count {
            guard !Task.isCancelled else { throw Self.cancelled }
            chunk.append(try sequence(row))
            let last = row == count - 1
            guard last || chunk.count == Self.chunk || clock.now - turnBegan > Self.turn else { continue }
            let firstRow = row + 1 - chunk.count
            guard try enqueue(chunk, firstRow == 0 ? .new : .continuing, firstRow: firstRow, request: request, expiry) else { return }
            chunk.removeAll(keepingCapacity: true)
            if !last { await Task.yield() }
            turnBegan = clock.now
        }
    }

    /// False when the request ended before all of it was made.
    private func enqueue(
        _ sequences: [EncoderBatch.Sequence], _ admission: BatchPlanner.Admission, firstRow: Int, request: Int, _ expiry: Int?
    ) throws(ApusError) -> Bool {
        let now = clock.now
        let launches = state.withLockedValue { state in
            Result { () throws(ApusError) in
                try state.enqueue(sequences, admission, firstRow: firstRow, request: request, deadline: expiry, now: now)
            }
        }
        guard let launches = try launches.get() else { return false }
        start(launches)
        return true
    }

    private func start(_ launches: [Launch]) {
        for launch in launches {
            switch launch {
            case .batch(let run):
                run.replica.executor.submit { self.runBatch(run) }
            case .answer(let continuation, let result):
                continuation.resume(returning: result)
            case .expired(let count):
                metrics.expired(count)
            }
        }
    }

    private func runBatch(_ run: LaneRun) {
        let started = clock.now
        let run = withoutExpired(run, now: started)
        guard !run.sequences.isEmpty else {
            start(state.withLockedValue { state in state.apply(state.planner.laneFinished(run.lane, now: started)) })
            return
        }
        let batch = EncoderBatch(run.sequences.map(\.sequence))
        observer?.batchBegan(on: run.replica.device)
        metrics.reached(overdue: run.overdue(at: started).count)
        let result = Result { () throws(ApusError) in try run.replica.encoder.run(batch) }
        let ended = clock.now
        for sequence in run.sequences { metrics.queued(nanoseconds: started - sequence.enqueued) }
        let seconds = Double(ended - started) * 1e-9
        switch result {
        case .success(let vectors):
            metrics.ran(batch, on: run.replica, nanoseconds: ended - started)
            let launches = state.withLockedValue { state in
                state.deliver(run, batch, vectors, started: started, ended: ended)
                    + state.apply(state.planner.laneFinished(run.lane, now: ended))
            }
            report(run, .succeeded, batch, seconds)
            start(launches)
        case .failure(let error):
            let failed = FailedBatch(run.sequences, on: run.replica.device, error)
            metrics.failed(failed, error)
            report(run, .failed(error.deviceFailure ?? .engine, failed.blame), batch, seconds)
            excuse(failed, error)
            start(
                state.withLockedValue { state in
                    if error.endsExecutor { state.close(run.replica.device, run.replica.executor) }
                    return state.putBack(failed, from: run, now: ended)
                        + state.apply(state.planner.laneFinished(run.lane, now: ended))
                })
        }
    }

    /// Between its launch and its lane a batch may have waited for another model's: what expired meanwhile does not run.
    private func withoutExpired(_ run: LaneRun, now: Int) -> LaneRun {
        let expired = run.overdue(at: now)
        guard !expired.isEmpty else { return run }
        start(state.withLockedValue { $0.expire(expired) })
        let gone = Set(expired.map(\.id))
        return LaneRun(lane: run.lane, replica: run.replica, sequences: run.sequences.filter { !gone.contains($0.id) })
    }

    private func report(_ run: LaneRun, _ result: BatchReport.Result, _ batch: EncoderBatch, _ seconds: Double) {
        guard let observer else { return }
        observer.batchEnded(
            BatchReport(
                device: run.replica.device, result: result, sequences: batch.count, tokens: batch.tokenCount, seconds: seconds))
        // An error that another device did not share was the first device's.
        guard result == .succeeded else { return }
        for device in Set(run.sequences.compactMap(\.failedAlone)) where device != run.replica.device {
            observer.batchEnded(
                BatchReport(device: device, result: .failed(.engine, .device), sequences: 1, tokens: 0, seconds: 0))
        }
    }

    /// An input that is refused is to blame for the workers that it ended before, too.
    private func excuse(_ failed: FailedBatch, _ error: ApusError) {
        guard let observer, let failure = error.deviceFailure else { return }
        for device in failed.quarantined.flatMap({ $0.endedWorkersOf.dropLast() }) {
            observer.batchEnded(
                BatchReport(device: device, result: .failed(failure, .input), sequences: 1, tokens: 0, seconds: 0))
        }
    }

    private func finish(_ request: Int, _ result: Result<EmbeddedSequences, ApusError>) {
        start(state.withLockedValue { $0.close(request, result) })
    }
}

extension ApusError {
    /// Whether the executor that failed so can run nothing any more.
    fileprivate var endsExecutor: Bool {
        switch deviceFailure {
        case .sticky, .hung, .crashed, .killed, .lost, .unavailable: true
        case .outOfMemory, .engine, nil: false
        }
    }
}
