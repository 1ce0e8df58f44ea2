package import ApusBatching
package import ApusErrors
package import ApusExecution
package import ApusGraph
import Synchronization

/// Runs the sequences of many requests in shared batches: carries out what ``BatchPlanner`` decides.
package final class EmbeddingScheduler: Sendable {
    private let encoder: SentenceEncoder
    private let executor: any Executor
    private let metrics: EmbeddingMetrics
    private let clock = MonotonicClock()
    private let state: Mutex<SchedulerState>

    package init(
        encoder: SentenceEncoder, executor: any Executor, limits: BatchLimits, metrics: EmbeddingMetrics
    ) {
        self.encoder = encoder
        self.executor = executor
        self.metrics = metrics
        state = Mutex(SchedulerState(planner: BatchPlanner(limits: limits, lanes: executor.laneCount)))
    }

    /// Tokens that wait for a lane.
    package var waitingTokens: Int {
        state.withLock { $0.planner.waitingTokens }
    }

    /// Seconds until what waits now has run, at the pace of the last batches; nil before the first.
    package var estimatedQueueSeconds: Double? {
        state.withLock { state in
            state.secondsPerToken.map { $0 * Double(state.planner.waitingTokens) / Double(executor.laneCount) }
        }
    }

    /// Runs `count` sequences and answers in their order.
    ///
    /// `sequence` is asked for one after the other, and what it returned starts to run while the rest is made. Throws what it
    /// throws, `overloaded`, `deadline_exceeded`, `cancelled` (when the surrounding task is), and the engine's failures; after a
    /// throw nothing of the request is left in the queue.
    package func run(
        count: Int, deadline: ContinuousClock.Instant?,
        _ sequence: (Int) throws(ApusError) -> EncoderBatch.Sequence
    ) async throws(ApusError) -> EmbeddedSequences {
        guard count > 0 else { return EmbeddedSequences(count: 0, dimensions: encoder.dimensions) }
        let id = state.withLock { state in
            state.nextID += 1
            state.requests[state.nextID] = EmbeddingRequest(count: count, dimensions: encoder.dimensions)
            return state.nextID
        }
        do throws(ApusError) {
            try await enqueueAll(id, count, deadline.map { clock.nanoseconds(at: $0) }, sequence)
        } catch {
            finish(id, .failure(error))
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { $0.wait(for: id, continuation) }
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
        let launches: [Launch]? = try state.withLock { state throws(ApusError) in
            guard let open = state.requests[request], open.isOpen else { return nil }
            var items: [BatchPlanner.Item] = []
            for (offset, sequence) in sequences.enumerated() {
                state.nextID += 1
                items.append(BatchPlanner.Item(id: state.nextID, tokens: sequence.ids.count, deadline: expiry))
                state.pending[state.nextID] = PendingSequence(
                    sequence: sequence, request: request, row: firstRow + offset, enqueued: now)
            }
            do throws(ApusError) {
                let actions = try state.planner.enqueue(items, admission, now: now)
                state.requests[request]?.waiting.formUnion(items.map(\.id))
                return state.apply(actions)
            } catch {
                for item in items { state.pending[item.id] = nil }
                throw error
            }
        }
        start(launches ?? [])
        return launches != nil
    }

    private func start(_ launches: [Launch]) {
        for launch in launches {
            switch launch {
            case .batch(let lane, let sequences):
                executor.submit { self.runBatch(sequences, on: lane) }
            case .answer(let continuation, let result):
                continuation.resume(returning: result)
            }
        }
    }

    private func runBatch(_ sequences: [PendingSequence], on lane: Int) {
        let batch = EncoderBatch(sequences.map(\.sequence))
        let started = clock.now
        let rows = compute(batch)
        let ended = clock.now
        metrics.ran(batch, nanoseconds: ended - started)
        let launches = state.withLock { state in
            state.learn(seconds: Double(ended - started) * 1e-9, tokens: batch.tokenCount)
            let answers = state.deliver(sequences, batch, rows, started: started, ended: ended)
            return answers + state.apply(state.planner.laneFinished(lane, now: ended))
        }
        for sequence in sequences { metrics.queued(nanoseconds: started - sequence.enqueued) }
        start(launches)
    }

    /// One result for each sequence. A batch that fails is run again one by one, so that a bad sequence fails alone.
    private func compute(_ batch: EncoderBatch) -> [Result<ArraySlice<Float>, ApusError>] {
        do throws(ApusError) {
            let vectors = try encoder.run(batch)
            let width = encoder.dimensions
            return (0..<batch.count).map { .success(vectors[($0 * width)..<(($0 + 1) * width)]) }
        } catch {
            guard batch.count > 1 else { return [.failure(error)] }
            return batch.sequences.flatMap { compute(EncoderBatch([$0])) }
        }
    }

    private func finish(_ request: Int, _ result: Result<EmbeddedSequences, ApusError>) {
        start(state.withLock { $0.close(request, result) })
    }
}
