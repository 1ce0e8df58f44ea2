import ApusBatching
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor

/// What is to be done outside the lock.
enum Launch: Sendable {
    case batch(LaneRun)
    case answer(EmbeddingRequest.Waiter, Result<EmbeddedSequences, ApusError>)
    /// So many inputs were dropped because their deadline had passed or their client had gone.
    case expired(Int)
}

/// One batch on its way to a lane.
struct LaneRun: Sendable {
    let lane: Int
    let replica: EncoderReplica
    let sequences: [PendingSequence]

    /// Those whose deadline has passed.
    func overdue(at now: Int) -> [PendingSequence] {
        sequences.filter { $0.deadline.map { $0 <= now } ?? false }
    }
}

/// What waits, for whom, where it may run, and what is to happen next. Pure: the effects are ``EmbeddingScheduler``'s.
struct SchedulerState: Sendable {
    var planner: BatchPlanner
    var pending: [Int: PendingSequence] = [:]
    var requests: [Int: EmbeddingRequest] = [:]
    /// Why nothing new is taken; nil while requests are welcome.
    var refusal: ApusError?
    var quarantine = QuarantinedInputs()
    var nextID = 0
    /// Of one lane, averaged over the last batches.
    private(set) var secondsPerToken: Double?
    private var replicas: [DeviceID: Opened] = [:]
    private var devices: [Int: DeviceID] = [:]
    private var numbers: [DeviceID: Int] = [:]
    private var nextLane = 0

    private struct Opened: Sendable {
        var replica: EncoderReplica
        var lanes: [Int]
    }

    init(planner: BatchPlanner) {
        self.planner = planner
    }

    var openDevices: [DeviceID] { replicas.keys.sorted() }

    /// The lanes of `replica` take work from now on, in place of those its device had before.
    mutating func open(_ replica: EncoderReplica, now: Int) -> [Launch] {
        close(replica.device)
        refusal = nil
        let number = numbers[replica.device] ?? numbers.count
        numbers[replica.device] = number
        let lanes = (0..<replica.executor.laneCount).map { nextLane + $0 }
        nextLane += lanes.count
        replicas[replica.device] = Opened(replica: replica, lanes: lanes)
        var actions: [BatchPlanner.Action] = []
        for lane in lanes {
            devices[lane] = replica.device
            actions += planner.addLane(lane, device: number, share: replica.share, now: now)
        }
        return apply(actions)
    }

    /// Takes all of `sequences` or none; nil when their request has ended.
    mutating func enqueue(
        _ sequences: [EncoderBatch.Sequence], _ admission: BatchPlanner.Admission, firstRow: Int, request: Int, deadline: Int?, now: Int
    ) throws(ApusError) -> [Launch]? {
        guard let open = requests[request], open.isOpen else { return nil }
        if let refusal { throw refusal }
        if !quarantine.isEmpty, let offset = sequences.firstIndex(where: { quarantine.contains($0.ids, now: now) }) {
            throw FailedBatch.refusal(row: firstRow + offset)
        }
        var taken: [PendingSequence] = []
        for (offset, sequence) in sequences.enumerated() {
            nextID += 1
            taken.append(
                PendingSequence(
                    id: nextID, sequence: sequence, request: request, row: firstRow + offset, enqueued: now, deadline: deadline))
        }
        for sequence in taken { pending[sequence.id] = sequence }
        do throws(ApusError) {
            let actions = try planner.enqueue(taken.map(\.item), admission, now: now)
            requests[request]?.waiting.formUnion(taken.map(\.id))
            return apply(actions)
        } catch {
            for sequence in taken { pending[sequence.id] = nil }
            throw error
        }
    }

    /// Closes `device` unless another executor serves it by now.
    mutating func close(_ device: DeviceID, _ executor: any Executor) {
        guard let current = replicas[device]?.replica.executor, current === executor else { return }
        close(device)
    }

    /// The lanes of `device` take no more work. What runs there ends by itself.
    mutating func close(_ device: DeviceID) {
        for lane in replicas.removeValue(forKey: device)?.lanes ?? [] {
            planner.removeLane(lane)
            devices[lane] = nil
        }
    }

    mutating func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) {
        guard var opened = replicas[device] else { return }
        opened.replica.share = share
        opened.replica.fallback = fallback
        replicas[device] = opened
        for lane in opened.lanes { planner.setShare(share, ofLane: lane) }
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
                for sequence in sequences { requests[sequence.request]?.waiting.remove(sequence.id) }
                guard let device = devices[lane], let opened = replicas[device] else { continue }
                launches.append(.batch(LaneRun(lane: lane, replica: opened.replica, sequences: sequences)))
            case .expire(let ids):
                launches += expire(ids.compactMap { pending.removeValue(forKey: $0) })
            }
        }
        return launches
    }

    /// Ends the requests of sequences whose deadline passed before they ran.
    mutating func expire(_ sequences: [PendingSequence]) -> [Launch] {
        let error = ApusError(.deadlineExceeded, "the deadline passed before the input could run")
        return [.expired(sequences.count)]
            + Set(sequences.map(\.request)).sorted().flatMap { close($0, .failure(error)) }
    }

    mutating func deliver(_ run: LaneRun, _ batch: EncoderBatch, _ vectors: [Float], started: Int, ended: Int) -> [Launch] {
        learn(seconds: Double(ended - started) * 1e-9, tokens: batch.tokenCount)
        let width = vectors.count / max(1, run.sequences.count)
        var launches: [Launch] = []
        for (place, sequence) in run.sequences.enumerated() {
            let account = EmbeddedSequences.Run(
                device: run.replica.device, precision: run.replica.precision, fallback: run.replica.fallback,
                batchSize: batch.count, padding: batch.longest - sequence.sequence.ids.count,
                queueNanoseconds: started - sequence.enqueued, runNanoseconds: ended - started)
            let vector = vectors[(place * width)..<((place + 1) * width)]
            if let finished = requests[sequence.request]?.fill(sequence.row, with: vector, account) {
                launches += close(sequence.request, .success(finished))
            }
        }
        return launches
    }

    /// Carries out what is decided about a failed batch. Sequences that nobody waits for any more are dropped.
    mutating func putBack(_ failed: FailedBatch, from run: LaneRun, now: Int) -> [Launch] {
        for sequence in failed.quarantined { quarantine.insert(sequence.sequence.ids, now: now) }
        var launches: [Launch] = []
        for (sequence, error) in failed.failures { launches += close(sequence.request, .failure(error)) }
        // What ran when all that waited was refused has nobody to wait for either.
        if let refusal {
            for sequence in failed.replays.joined() { launches += close(sequence.request, .failure(refusal)) }
            return launches
        }
        var replays: [BatchPlanner.Replay] = []
        for group in failed.replays {
            let wanted = group.filter { requests[$0.request]?.isOpen ?? false }
            for sequence in wanted {
                pending[sequence.id] = sequence
                requests[sequence.request]?.waiting.insert(sequence.id)
            }
            replays.append(
                BatchPlanner.Replay(wanted.map(\.item), avoiding: failed.avoidsDevice ? numbers[run.replica.device] : nil,
                    company: failed.company))
        }
        return launches + apply(planner.putBack(replays, now: now))
    }

    /// Refuses what waits and what comes, until a replica is opened.
    mutating func refuseAll(_ error: ApusError) -> [Launch] {
        refusal = error
        return requests.keys.sorted().filter { requests[$0]?.waiting.isEmpty == false }
            .flatMap { close($0, .failure(error)) }
    }

    /// Remembers the pace of a batch; an old batch counts half as much after about seven newer ones.
    private mutating func learn(seconds: Double, tokens: Int) {
        guard tokens > 0 else { return }
        let pace = seconds / Double(tokens)
        secondsPerToken = secondsPerToken.map { $0 * 0.9 + pace * 0.1 } ?? pace
    }

    /// Ends a request with its first result; what it still has in the queue is dropped.
    mutating func close(_ request: Int, _ result: Result<EmbeddedSequences, ApusError>) -> [Launch] {
        guard let open = requests[request], open.isOpen else { return [] }
        let dropped = planner.cancel(open.waiting.sorted())
        for id in dropped { pending[id] = nil }
        requests[request]?.waiting = []
        let unwanted: [Launch] = Self.isTooLate(result) && !dropped.isEmpty ? [.expired(dropped.count)] : []
        guard let waiter = open.waiter else {
            requests[request]?.result = result
            return unwanted
        }
        requests[request] = nil
        return unwanted + [.answer(waiter, result)]
    }

    /// Whether a request ended because its deadline passed or its client went.
    private static func isTooLate(_ result: Result<EmbeddedSequences, ApusError>) -> Bool {
        guard case .failure(let error) = result else { return false }
        return error.code == .cancelled || error.code == .deadlineExceeded
    }
}
