import ApusBatching
import ApusErrors
import ApusGraph

/// A sequence that waits for its batch.
struct PendingSequence: Sendable {
    var sequence: EncoderBatch.Sequence
    var request: Int
    /// Its place in the request.
    var row: Int
    var enqueued: Int
}

/// What is to be done outside the lock.
enum Launch: Sendable {
    case batch(lane: Int, [PendingSequence])
    case answer(EmbeddingRequest.Waiter, Result<EmbeddedSequences, ApusError>)
}

/// What waits, for whom, and what is to happen next. Pure: the effects are ``EmbeddingScheduler``'s.
struct SchedulerState: Sendable {
    var planner: BatchPlanner
    var pending: [Int: PendingSequence] = [:]
    var requests: [Int: EmbeddingRequest] = [:]
    var nextID = 0
    /// Of one lane, averaged over the last batches.
    private(set) var secondsPerToken: Double?

    init(planner: BatchPlanner) {
        self.planner = planner
    }

    /// Registers who waits for `request`, or hands out its result if it is there already.
    mutating func wait(
        for request: Int, _ waiter: EmbeddingRequest.Waiter
    ) -> Result<EmbeddedSequences, ApusError>? {
        if let result = requests[request]?.result {
            requests[request] = nil
            return result
        }
        requests[request]?.waiter = waiter
        return nil
    }

    mutating func apply(_ actions: [BatchPlanner.Action]) -> [Launch] {
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

    mutating func deliver(
        _ sequences: [PendingSequence], _ batch: EncoderBatch, _ rows: [Result<ArraySlice<Float>, ApusError>], started: Int, ended: Int
    ) -> [Launch] {
        var launches: [Launch] = []
        for (sequence, row) in zip(sequences, rows) {
            switch row {
            case .success(let vector):
                let run = EmbeddedSequences.Run(
                    batchSize: batch.count, padding: batch.longest - sequence.sequence.ids.count,
                    queueNanoseconds: started - sequence.enqueued, runNanoseconds: ended - started)
                if let finished = requests[sequence.request]?.fill(sequence.row, with: vector, run) {
                    launches += close(sequence.request, .success(finished))
                }
            case .failure(let error):
                launches += close(sequence.request, .failure(error))
            }
        }
        return launches
    }

    /// Remembers the pace of a batch; an old batch counts half as much after about seven newer ones.
    mutating func learn(seconds: Double, tokens: Int) {
        guard tokens > 0 else { return }
        let pace = seconds / Double(tokens)
        secondsPerToken = secondsPerToken.map { $0 * 0.9 + pace * 0.1 } ?? pace
    }

    /// Ends a request with its first result; what it still has in the queue is dropped.
    mutating func close(_ request: Int, _ result: Result<EmbeddedSequences, ApusError>) -> [Launch] {
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
