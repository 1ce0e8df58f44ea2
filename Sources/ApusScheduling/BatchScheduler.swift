package import ApusBatching
package import ApusErrors
package import ApusExecution
package import ApusTensor
import NIOConcurrencyHelpers

/// Runs the inputs of many requests in shared batches, on every device that is open: carries out what ``BatchPlanner`` and
/// ``FailedBatch`` decide.
///
/// Devices come and go while requests wait. An input is answered once: with its output, or with the error that ended it. Equal inputs that are
/// on their way at the same time are computed once.
package final class BatchScheduler<Work: BatchWork>: Sendable {
    package typealias Answers = BatchAnswers<Work.Output>
    typealias State = SchedulerState<Work>

    /// Told the padded tokens of the largest batch that fits on a device, whenever one turned out to be too large.
    package typealias CeilingObserver = @Sendable (_ device: DeviceID, _ paddedTokens: Int) -> Void

    private let model: String
    private let weight: Double
    private let observer: (any BatchObserver)?
    private let metrics: BatchMetrics
    private let ceilingFound: CeilingObserver?
    private let clock = MonotonicClock()
    // NIO's lock and not the standard library's Mutex: ThreadSanitizer on Linux does not see the latter.
    let state: NIOLockedValueBox<State>

    /// Nothing runs before ``open(_:)``. Where several models share a device, each gets lane time in proportion to its `weight`.
    package init(
        model: String, policy: BatchPolicy, weight: Double = 1, metrics: BatchMetrics, observer: (any BatchObserver)? = nil,
        ceilingFound: CeilingObserver? = nil
    ) {
        self.model = model
        self.weight = weight
        self.metrics = metrics
        self.observer = observer
        self.ceilingFound = ceilingFound
        state = NIOLockedValueBox(State(planner: BatchPlanner(policy: policy)))
    }

    /// What the devices that take work now run in, each precision once, in the order of the devices. Throws why nothing is taken at the moment:
    /// what was given to ``refuse(with:)`` or ``drain(refusing:)``.
    package func openPrecisions() throws(ApusError) -> [Precision] {
        let precisions = state.withLockedValue { state -> Result<[Precision], ApusError> in
            if let error = state.retirement ?? state.refusal { return .failure(error) }
            return .success(state.openPrecisions)
        }
        return try precisions.get()
    }

    /// Tokens that wait for a lane.
    package var waitingTokens: Int {
        state.withLockedValue { $0.planner.waitingTokens }
    }

    /// Devices that take work now.
    package var openDevices: [DeviceID] {
        state.withLockedValue { $0.openDevices }
    }

    /// Seconds until an input of this class that comes now would start; nil before the first batch and while no device is open.
    package func estimatedWait(_ priority: Priority = .medium) -> Double? {
        state.withLockedValue { $0.planner.estimatedWait(priority: priority, now: clock.now) }
    }

    /// Limits the work, in seconds, of one client that may wait; nil for no limit of its own.
    package func limit(client: Int, seconds: Double?) {
        state.withLockedValue { $0.planner.limit(client: client, seconds: seconds) }
    }

    /// The lanes of `replica` take work from now on.
    package func open(_ replica: Replica<Work>) {
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
        start(
            state.withLockedValue { state in
                let now = clock.now
                return state.apply(state.planner.expire(now: now), now: now)
            })
    }

    /// Runs `count` inputs and answers in their order.
    ///
    /// `input` is asked for one after the other, and what it returned starts to run while the rest is made. Throws what it
    /// throws, `overloaded`, `rate_limit_exceeded`, `deadline_exceeded`, `cancelled` (when the surrounding task is), `request_quarantined`,
    /// `no_device`, what ``drain(refusing:)`` was given, and the engine's failures; after a throw nothing of the request is left in the queue. With partial results, what `input` throws
    /// and what an input fails with alone stands in its row instead.
    ///
    /// - Parameter rows: which of the inputs are to be run, in ascending order; nil for all. What the other rows hold means nothing.
    package func run(
        count: Int, rows: [Int]? = nil, _ options: BatchOptions = BatchOptions(), _ input: (Int) throws(ApusError) -> Work.Input
    ) async throws(ApusError) -> Answers {
        let rows = rows ?? Array(0..<count)
        guard !rows.isEmpty else { return Answers(count: count) }
        let id = try state.withLockedValue { state in
            Result { () throws(ApusError) in try state.begin(count, missing: rows.count, isPartial: options.isPartial) }
        }.get()
        do throws(ApusError) {
            // What the queue has no room for is refused before any work is put into it.
            try requireRoom(options)
            try await enqueueAll(id, rows, options, input)
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

    /// Throws what ``run(count:_:_:)`` would throw for want of room if it were asked now for the least there is, `overloaded` or
    /// `rate_limit_exceeded`: a question that puts nothing into the queue, for those who have not read yet what is asked.
    package func requireRoom(_ options: BatchOptions) throws(ApusError) {
        let deadline = options.deadline.map { clock.nanoseconds(at: $0) }
        let admitted = state.withLockedValue { state in
            Result { () throws(ApusError) in
                try state.planner.admitAny(options.priority, client: options.client, deadline: deadline, now: clock.now)
            }
        }
        try admitted.get()
    }

    /// Inputs handed to the lanes together: enough to fill a batch, few enough to start soon.
    private static var chunk: Int { 64 }
    /// How long one request may prepare its inputs before others get their turn on the thread, nanoseconds.
    private static var turn: Int { 2_000_000 }

    private static var cancelled: ApusError { ApusError(.cancelled, "the caller gave up before the answer was ready") }

    private func enqueueAll(
        _ request: Int, _ rows: [Int], _ options: BatchOptions, _ input: (Int) throws(ApusError) -> Work.Input
    ) async throws(ApusError) {
        let deadline = options.deadline.map { clock.nanoseconds(at: $0) }
        var chunk: [(row: Int, input: Work.Input)] = []
        var (begin, isAdmitted) = (0, false)
        var turnBegan = clock.now
        for (place, row) in rows.enumerated() {
            guard !Task.isCancelled else { throw Self.cancelled }
            if let made = try make(row, request, options, input) { chunk.append((row, made)) }
            let last = place == rows.count - 1
            guard last || chunk.count == Self.chunk || clock.now - turnBegan > Self.turn else { continue }
            let admission = isAdmitted ? BatchPlanner.Admission.continuing : .first(part: Double(place + 1 - begin) / Double(rows.count - begin))
            guard let fresh = try enqueue(chunk, admission, request, options, deadline) else { return }
            // What joined others' work was not weighed.
            if fresh > 0 { isAdmitted = true }
            begin = place + 1
            chunk.removeAll(keepingCapacity: true)
            if !last { await Task.yield() }
            turnBegan = clock.now
        }
    }

    /// Nil where the input is wrong and the request goes on without it.
    private func make(
        _ row: Int, _ request: Int, _ options: BatchOptions, _ input: (Int) throws(ApusError) -> Work.Input
    ) throws(ApusError) -> Work.Input? {
        do throws(ApusError) {
            return try input(row)
        } catch {
            guard options.isPartial else { throw error }
            start(state.withLockedValue { $0.settle(request, row, .failure(error), .init()) })
            return nil
        }
    }

    /// How many wait for a batch of their own; nil when the request ended before all of it was made.
    private func enqueue(
        _ inputs: [(row: Int, input: Work.Input)], _ admission: BatchPlanner.Admission, _ request: Int, _ options: BatchOptions, _ deadline: Int?
    ) throws(ApusError) -> Int? {
        let taken = state.withLockedValue { state in
            Result { () throws(ApusError) in
                try state.enqueue(inputs, admission, request: request, options, deadline: deadline, now: clock.now)
            }
        }
        guard let taken = try taken.get() else { return nil }
        if taken.shared > 0 { metrics.shared(taken.shared) }
        start(taken.launches)
        return taken.fresh
    }

    private func start(_ launches: [State.Launch]) {
        // Lanes first: an answer may bring the next request before the rest of this is done.
        for case .batch(let run) in launches {
            run.replica.lanes.submit(model, weight: weight, alone: run.isSuspect) { self.lane(run, waited: $0) }
        }
        for launch in launches {
            switch launch {
            case .batch: break
            case .answer(let continuation, let result):
                continuation.resume(returning: result)
            case .expired(let count):
                metrics.expired(count)
            case .wake(let time):
                wake(at: time)
            case .ceiling(let device, let tokens):
                ceilingFound?(device, tokens)
            }
        }
    }

    private func wake(at time: Int) {
        let wait = Duration.nanoseconds(max(0, time - clock.now))
        Task.detached { [self] in
            try? await Task.sleep(for: wait)
            start(
                state.withLockedValue { state in
                    if state.nextWake == time { state.nextWake = nil }
                    let now = clock.now
                    return state.apply(state.planner.tick(now: now), now: now)
                })
        }
    }

    /// On a lane's thread.
    private func lane(_ run: State.LaneRun, waited: Bool) {
        guard waited else { return runBatch(run) }
        var others: [State.Launch] = []
        var chosen: State.LaneRun?
        for launch in state.withLockedValue({ $0.chooseAnew(run, now: clock.now) }) {
            if case .batch(let other) = launch, chosen == nil, other.lane == run.lane { chosen = other } else { others.append(launch) }
        }
        start(others)
        if let chosen { runBatch(chosen) }
    }

    private func runBatch(_ run: State.LaneRun) {
        let started = clock.now
        let run = withoutExpired(run, now: started)
        guard !run.inputs.isEmpty else {
            start(state.withLockedValue { state in state.apply(state.planner.laneFinished(run.lane, nil, now: started), now: started) })
            return
        }
        let shape = run.shape
        observer?.batchBegan(on: run.replica.device)
        metrics.reached(overdue: run.overdue(at: started).count)
        let result = Result { () throws(ApusError) in try outputs(run) }
        let ended = clock.now
        for unit in run.inputs { metrics.queued(nanoseconds: max(0, started - unit.enqueued)) }
        let seconds = Double(ended - started) * 1e-9
        switch result {
        case .success(let outputs):
            metrics.ran(shape, on: run.replica.device, run.replica.fallback, nanoseconds: ended - started)
            let (launches, judgement) = state.withLockedValue { state in
                (state.deliver(run, shape, outputs, started: started, ended: ended), state.judgement(of: run.replica.device))
            }
            // Who waits goes on while this is written down.
            start(launches)
            report(run, .succeeded, shape, seconds, nil)
            if let judgement {
                metrics.judged(
                    run.replica.device, budget: judgement.budget, ceiling: judgement.ceiling, predictionError: judgement.predictionError)
            }
        case .failure(let error):
            let hasChoice = state.withLockedValue { $0.openDevices.contains { $0 != run.replica.device } }
            let failed = FailedBatch(run.inputs, on: run.replica.device, error, hasChoice: hasChoice)
            metrics.failed(replayed: failed.replays.reduce(0) { $0 + $1.count }, quarantined: failed.quarantined.count, error)
            report(run, .failed(error.deviceFailure ?? .engine, failed.blame), shape, seconds, error)
            excuse(failed, error)
            start(
                state.withLockedValue { state in
                    if error.endsExecutor { state.close(run.replica.device, run.replica.executor) }
                    return state.putBack(failed, from: run, error, now: ended)
                        + state.apply(state.planner.laneFinished(run.lane, nil, now: ended), now: ended)
                })
        }
    }

    private func outputs(_ run: State.LaneRun) throws(ApusError) -> [Work.Output] {
        let outputs = try run.replica.work.run(run.inputs.map { $0.input })
        guard outputs.count == run.inputs.count else {
            throw ApusError(.engineFailure, "the model gave \(outputs.count) results for \(run.inputs.count) inputs", place: model)
        }
        return outputs
    }

    /// Between its launch and its lane a batch may have waited for another model's: what expired meanwhile does not run.
    private func withoutExpired(_ run: State.LaneRun, now: Int) -> State.LaneRun {
        guard !run.overdue(at: now).isEmpty else { return run }
        let (rest, launches) = state.withLockedValue { $0.withoutExpired(run, now: now) }
        start(launches)
        return rest
    }

    private func report(
        _ run: State.LaneRun, _ result: BatchReport.Result, _ shape: BatchShape, _ seconds: Double, _ error: ApusError?
    ) {
        guard let observer else { return }
        observer.batchEnded(
            BatchReport(
                device: run.replica.device, result: result, sequences: shape.count, tokens: shape.tokens, seconds: seconds,
                culprit: run.replica.executor.group == nil ? nil : error?.culprit(inGroupOf: run.replica.device)))
        // An error that another device did not share was the first device's.
        guard result == .succeeded else { return }
        for device in Set(run.inputs.compactMap { $0.history.failedAlone }) where device != run.replica.device {
            observer.batchEnded(
                BatchReport(device: device, result: .failed(.engine, .device), sequences: 1, tokens: 0, seconds: 0))
        }
    }

    /// An input that is refused is to blame for the workers that it ended before, too.
    private func excuse(_ failed: FailedBatch<Work.Input>, _ error: ApusError) {
        guard let observer, let failure = error.deviceFailure else { return }
        for device in failed.quarantined.flatMap({ $0.history.endedWorkersOf.dropLast() }) {
            observer.batchEnded(
                BatchReport(device: device, result: .failed(failure, .input), sequences: 1, tokens: 0, seconds: 0))
        }
    }

    private func finish(_ request: Int, _ result: Result<Answers, ApusError>) {
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
