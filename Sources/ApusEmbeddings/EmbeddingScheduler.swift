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
    private let state: Mutex<State>

    private struct State: Sendable {
        var planner: BatchPlanner
        var pending: [Int: PendingSequence] = [:]
        var requests: [Int: EmbeddingRequest] = [:]
        var nextID = 0
    }

    package init(
        encoder: SentenceEncoder, executor: any Executor, limits: BatchLimits, metrics: EmbeddingMetrics
    ) {
        self.encoder = encoder
        self.executor = executor
        self.metrics = metrics
        state = Mutex(State(planner: BatchPlanner(limits: limits, lanes: executor.laneCount)))
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
                let ready = state.withLock { $0.await(id, continuation) }
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

/// A sequence that waits for its batch.
private struct PendingSequence: Sendable {
    var sequence: EncoderBatch.Sequence
    var request: Int
    /// Its place in the request.
    var row: Int
    var enqueued: Int
}

/// What is to be done outside the lock.
private enum Launch: Sendable {
    case batch(lane: Int, [PendingSequence])
    case answer(EmbeddingRequest.Waiter, Result<EmbeddedSequences, ApusError>)
}

extension EmbeddingScheduler.State {
    /// Registers who waits for `request`, or hands out its result if it is there already.
    fileprivate mutating func await(
        _ request: Int, _ waiter: EmbeddingRequest.Waiter
    ) -> Result<EmbeddedSequences, ApusError>? {
        if let result = requests[request]?.result {
            requests[request] = nil
            return result
        }
        requests[request]?.waiter = waiter
        return nil
    }

    fileprivate mutating func apply(_ actions: [BatchPlanner.Action]) -> [Launch] {
        var launches: [Launch] = []
        for action in actions {
            switch action {
            case .launch(let lane, let ids):
                let sequences = ids.compactMap { pending.removeValue(forKey: $0) }
                for (id, sequence) in zip(ids, sequences) { requests[sequence.request]?.waiting.remove(id) }
                launches.append(.batch(lane: lane, sequences))
            case .expire(let ids):
                let expired = Set(ids.compactMap { pending.removeValue(forKey: $0)?.request })
                for request in expired {
                    let error = ApusError(.deadlineExceeded, "the deadline passed before the input could run")
                    launches += close(request, .failure(error))
                }
            }
        }
        return launches
    }

    fileprivate mutating func deliver(
        _ sequences: [PendingSequence], _ batch: EncoderBatch, _ result: Result<[Float], ApusError>, started: Int, ended: Int
    ) -> [Launch] {
        var launches: [Launch] = []
        for (row, sequence) in sequences.enumerated() {
            switch result {
            case .success(let vectors):
                let run = EmbeddedSequences.Run(
                    batchSize: batch.count, padding: batch.longest - sequence.sequence.ids.count,
                    queueNanoseconds: started - sequence.enqueued, runNanoseconds: ended - started)
                if let finished = requests[sequence.request]?.fill(sequence.row, from: vectors, row, run) {
                    launches += close(sequence.request, .success(finished))
                }
            case .failure(let error):
                launches += close(sequence.request, .failure(error))
            }
        }
        return launches
    }

    /// Ends a request with its first result; what it still has in the queue is dropped.
    fileprivate mutating func close(_ request: Int, _ result: Result<EmbeddedSequences, ApusError>) -> [Launch] {
        guard let open = requests[request], open.isOpen else { return [] }
        for id in planner.cancel(open.waiting.sorted()) { pending[id] = nil }
        requests[request]?.waiting = []
        guard let waiter = open.waiter else {
            requests[request]?.result = result
            return []
        }
        requests[request] = nil
        return [.answer(waiter, result)]
    }
}
