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

    /// Runs `count` sequences and answers in their order.
    ///
    /// `sequences` is asked for one range after the other, and what it returns starts to run at once, so that tokenising
    /// the rest and running the first go on together. Throws what it throws, `overloaded`, `deadline_exceeded`, `cancelled`
    /// (when the surrounding task is), and the engine's failures; after a throw nothing of the request is left in the queue.
    package func run(
        count: Int, deadline: ContinuousClock.Instant?,
        _ sequences: (Range<Int>) throws(ApusError) -> [EncoderBatch.Sequence]
    ) async throws(ApusError) -> EmbeddedSequences {
        guard count > 0 else { return EmbeddedSequences(count: 0, dimensions: encoder.dimensions) }
        let id = state.withLock { state in
            state.nextID += 1
            state.requests[state.nextID] = EmbeddingRequest(count: count, dimensions: encoder.dimensions)
            return state.nextID
        }
        let expiry = deadline.map { clock.nanoseconds(at: $0) }
        do throws(ApusError) {
            for start in stride(from: 0, to: count, by: Self.chunk) {
                guard !Task.isCancelled else { throw Self.cancelled }
                let range = start..<min(start + Self.chunk, count)
                try enqueue(try sequences(range), firstRow: start, request: id, expiry)
                if range.upperBound < count { await Task.yield() }
            }
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

    /// Sequences tokenised before they are handed to the lanes: enough to fill a batch, few enough to start soon.
    private static let chunk = 64

    private static let cancelled = ApusError(.cancelled, "the caller gave up before the answer was ready")

    private func enqueue(
        _ sequences: [EncoderBatch.Sequence], firstRow: Int, request: Int, _ expiry: Int?
    ) throws(ApusError) {
        let now = clock.now
        let launches = try state.withLock { state throws(ApusError) in
            // The request may have failed while this chunk was tokenised.
            guard let open = state.requests[request], open.isOpen else { return [Launch]() }
            var items: [BatchPlanner.Item] = []
            for (offset, sequence) in sequences.enumerated() {
                state.nextID += 1
                items.append(BatchPlanner.Item(id: state.nextID, tokens: sequence.ids.count, deadline: expiry))
                state.pending[state.nextID] = PendingSequence(
                    sequence: sequence, request: request, row: firstRow + offset, enqueued: now)
            }
            do throws(ApusError) {
                let actions = try state.planner.enqueue(items, now: now)
                state.requests[request]?.waiting.formUnion(items.map(\.id))
                return state.apply(actions)
            } catch {
                for item in items { state.pending[item.id] = nil }
                throw error
            }
        }
        start(launches)
    }

    private func start(_ launches: [Launch]) {
        for launch in launches {
            switch launch {
            case .batch(let lane, let sequences):
                executor.submit(to: lane) { self.runBatch(sequences, on: lane) }
            case .answer(let continuation, let result):
                continuation.resume(returning: result)
            }
        }
    }

    private func runBatch(_ sequences: [PendingSequence], on lane: Int) {
        let batch = EncoderBatch(sequences.map(\.sequence))
        let started = clock.now
        let result = Result { () throws(ApusError) in try encoder.run(batch) }
        let ended = clock.now
        metrics.ran(batch, nanoseconds: ended - started)
        let launches = state.withLock { state in
            let answers = state.deliver(sequences, batch, result, started: started, ended: ended)
            return answers + state.apply(state.planner.laneFinished(lane, now: ended))
        }
        for sequence in sequences { metrics.queued(nanoseconds: started - sequence.enqueued) }
        start(launches)
    }

    private func finish(_ request: Int, _ result: Result<EmbeddedSequences, ApusError>) {
        start(state.withLock { $0.close(request, result) })
    }
}
