import ApusBatching
import ApusErrors
import ApusExecution
import ApusTensor

/// What waits, for whom, where it may run, and what is to happen next. Pure: the effects are ``BatchScheduler``'s.
struct SchedulerState<Work: BatchWork>: Sendable {
    typealias Pending = PendingInput<Work.Input>
    typealias Answers = BatchAnswers<Work.Output>
    typealias Request = BatchRequest<Work.Output>

    /// What is to be done outside the lock.
    enum Launch: Sendable {
        case batch(LaneRun)
        case answer(Request.Waiter, Result<Answers, ApusError>)
        /// So many inputs were dropped because their deadline had passed or their client had gone.
        case expired(Int)
        /// Look again at this time.
        case wake(at: Int)
        /// No batch of more than so many padded tokens fits on the device.
        case ceiling(DeviceID, Int)
    }

    /// What became of inputs that were taken: how many joined equal ones, and how many wait for a batch of their own.
    struct Enqueued: Sendable {
        var launches: [Launch]
        var shared: Int
        var fresh: Int
    }

    /// One batch on its way to a lane.
    struct LaneRun: Sendable {
        let lane: Int
        let replica: Replica<Work>
        let inputs: [Pending]

        /// What the device computes.
        /// (Closures where key paths would do: in a generic type those are made anew each time, 10 µs of every batch.)
        var shape: BatchShape { BatchShape(lengths: inputs.map { $0.input.tokens }, isPadded: replica.work.pads) }

        /// Whether it holds an input that ended a worker: when the device fails again, nothing else is to be there.
        var isSuspect: Bool { inputs.contains { !$0.history.endedWorkersOf.isEmpty } }

        /// Those whose deadline has passed.
        func overdue(at now: Int) -> [Pending] {
            inputs.filter { $0.deadline.map { $0 <= now } ?? false }
        }
    }

    var planner: BatchPlanner
    /// Inputs that wait or run.
    var pending: [Int: Pending] = [:]
    var requests: [Int: Request] = [:]
    /// Why nothing new is taken; nil while requests are welcome.
    var refusal: ApusError?
    /// Why no request begins any more; nil while the model is in service.
    var retirement: ApusError?
    /// Whether devices stay closed for good.
    var isEnded = false
    var quarantine = QuarantinedInputs<Work.Input.Identity>()
    var nextID = 0
    /// When the scheduler is going to look again by itself.
    var nextWake: Int?
    private var byIdentity: [Work.Input.Identity: Int] = [:]
    private var replicas: [DeviceID: Opened] = [:]
    private var devices: [Int: DeviceID] = [:]
    private var numbers: [DeviceID: Int] = [:]
    private var nextLane = 0
    /// Batches of nearly the largest size that went well since a device's ceiling was set.
    private var wellUnderCeiling: [Int: Int] = [:]
    /// After so many the ceiling is raised by a quarter: what else took the memory may be gone, and a batch that turns out too large again costs
    /// one run of its halves.
    private static var provesCeiling: Int { 500 }

    private struct Opened: Sendable {
        var replica: Replica<Work>
        var lanes: [Int]
    }

    init(planner: BatchPlanner) {
        self.planner = planner
    }

    var openDevices: [DeviceID] { replicas.keys.sorted() }

    var openPrecisions: [Precision] {
        if replicas.count == 1, let only = replicas.first { return [only.value.replica.precision] }
        return openDevices.reduce(into: []) { precisions, device in
            guard let precision = replicas[device]?.replica.precision, !precisions.contains(precision) else { return }
            precisions.append(precision)
        }
    }

    // MARK: Devices

    /// The lanes of `replica` take work from now on, in place of those its device had before.
    mutating func open(_ replica: Replica<Work>, now: Int) -> [Launch] {
        guard !isEnded else { return [] }
        close(replica.device)
        refusal = nil
        let number = numbers[replica.device] ?? numbers.count
        numbers[replica.device] = number
        let lanes = (0..<replica.executor.laneCount).map { nextLane + $0 }
        nextLane += lanes.count
        replicas[replica.device] = Opened(replica: replica, lanes: lanes)
        if let ceiling = replica.ceiling { planner.setCeiling(ceiling, device: number) }
        var actions: [BatchPlanner.Action] = []
        for lane in lanes {
            devices[lane] = replica.device
            actions += planner.addLane(lane, device: number, tokenBudget: replica.tokenBudget, share: replica.share, pads: replica.work.pads, now: now)
        }
        return apply(actions, now: now)
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

    /// What the planner makes of `device`, for the metrics.
    func judgement(of device: DeviceID) -> (budget: Int, ceiling: Int?, predictionError: Double?)? {
        numbers[device].map { (planner.budget(device: $0), planner.ceiling(device: $0), planner.predictionError(device: $0)) }
    }

    // MARK: Requests

    /// Takes all of `inputs` or none; nil when their request has ended.
    mutating func enqueue(
        _ inputs: [(row: Int, input: Work.Input)], _ admission: BatchPlanner.Admission, request: Int, _ options: BatchOptions,
        deadline: Int?, now: Int
    ) throws(ApusError) -> Enqueued? {
        guard let open = requests[request], open.isOpen else { return nil }
        if let refusal { throw refusal }
        var launches: [Launch] = []
        var (fresh, shared): ([Int], Int) = ([], 0)
        let firstFresh = nextID + 1
        for (row, input) in inputs {
            let identity = input.identity
            if let identity, !quarantine.isEmpty, quarantine.contains(identity, now: now) {
                let error = ApusError.quarantined(row: row)
                guard open.isPartial else {
                    forget(fresh)
                    throw error
                }
                launches += settle(request, row, .failure(error), .init())
                continue
            }
            let asker = Pending.Asker(
                request: request, row: row, enqueued: now, deadline: deadline, priority: options.priority, client: options.client)
            if let identity, let id = byIdentity[identity], let change = pending[id]?.join(asker) {
                requests[request]?.waiting.insert(id)
                if case .moreUrgent(let priority, let deadline) = change, id < firstFresh {
                    planner.promote(id: id, to: priority, deadline: deadline)
                }
                shared += 1
                continue
            }
            nextID += 1
            pending[nextID] = Pending(id: nextID, input: input, asker: asker)
            if let identity { byIdentity[identity] = nextID }
            fresh.append(nextID)
        }
        guard !fresh.isEmpty else { return Enqueued(launches: launches, shared: shared, fresh: 0) }
        do throws(ApusError) {
            let actions = try planner.enqueue(fresh.compactMap { pending[$0]?.item }, admission, now: now)
            requests[request]?.waiting.formUnion(fresh)
            return Enqueued(launches: launches + apply(actions, now: now), shared: shared, fresh: fresh.count)
        } catch {
            forget(fresh)
            throw error
        }
    }

    /// Registers who waits for `request`, or hands out its result if it is there already.
    mutating func wait(for request: Int, _ waiter: Request.Waiter) -> Result<Answers, ApusError>? {
        if let result = requests[request]?.result {
            requests[request] = nil
            return result
        }
        requests[request]?.waiter = waiter
        return nil
    }

    /// One row of a request is done.
    mutating func settle(_ request: Int, _ row: Int, _ result: Result<Work.Output, ApusError>, _ run: Answers.Run) -> [Launch] {
        guard let finished = requests[request]?.fill(row, with: result, run) else { return [] }
        return close(request, .success(finished))
    }

    /// Ends a request with its first result; what only it waited for is dropped from the queue.
    mutating func close(_ request: Int, _ result: Result<Answers, ApusError>) -> [Launch] {
        guard let open = requests[request], open.isOpen else { return [] }
        var unwanted: [Int] = []
        for id in open.waiting {
            pending[id]?.askers.removeAll { $0.request == request }
            if let unit = pending[id], unit.askers.isEmpty, !unit.isRunning { unwanted.append(id) }
        }
        let dropped = planner.cancel(unwanted.sorted())
        forget(dropped)
        requests[request]?.waiting = []
        let expired: [Launch] = Self.isTooLate(result) && !dropped.isEmpty ? [.expired(dropped.count)] : []
        guard let waiter = open.waiter else {
            requests[request]?.result = result
            return expired
        }
        requests[request] = nil
        return expired + [.answer(waiter, result)]
    }

    /// Refuses what waits and what comes, until a replica is opened.
    mutating func refuseAll(_ error: ApusError) -> [Launch] {
        refusal = error
        return requests.keys.sorted()
            .filter { requests[$0]?.waiting.contains { pending[$0]?.isRunning == false } ?? false }
            .flatMap { close($0, .failure(error)) }
    }

    /// Whether a request ended because its deadline passed or its client went.
    private static func isTooLate(_ result: Result<Answers, ApusError>) -> Bool {
        guard case .failure(let error) = result else { return false }
        return error.code == .cancelled || error.code == .deadlineExceeded
    }

    private mutating func forget(_ ids: [Int]) {
        for id in ids { _ = remove(id) }
    }

    private mutating func remove(_ id: Int) -> Pending? {
        guard let unit = pending.removeValue(forKey: id) else { return nil }
        if let identity = unit.input.identity, byIdentity[identity] == id { byIdentity[identity] = nil }
        for asker in unit.askers { requests[asker.request]?.waiting.remove(id) }
        return unit
    }

    // MARK: Batches

    mutating func apply(_ actions: [BatchPlanner.Action], now: Int) -> [Launch] {
        var launches: [Launch] = []
        for action in actions {
            switch action {
            case .launch(let lane, let ids):
                for id in ids { pending[id]?.isRunning = true }
                let inputs = ids.compactMap { pending[$0] }
                guard let device = devices[lane], let opened = replicas[device] else { continue }
                launches.append(.batch(LaneRun(lane: lane, replica: opened.replica, inputs: inputs)))
            case .expire(let ids):
                launches += expire(ids)
            case .wake(let time):
                if let nextWake, nextWake <= time, nextWake > now { continue }
                nextWake = time
                launches.append(.wake(at: time))
            }
        }
        return launches
    }

    /// Ends the requests of inputs whose deadline passed before they ran.
    mutating func expire(_ ids: [Int]) -> [Launch] {
        let error = ApusError(.deadlineExceeded, "the deadline passed before the input could run")
        let units = ids.compactMap { remove($0) }
        return [.expired(units.count)]
            + Set(units.flatMap(\.askers).map(\.request)).sorted().flatMap { close($0, .failure(error)) }
    }

    /// What is left of a batch when those are gone whose deadline passed on the way. Somebody may have joined them meanwhile.
    mutating func withoutExpired(_ run: LaneRun, now: Int) -> (LaneRun, [Launch]) {
        let (rest, expired) = run.inputs.reduce(into: ([Pending](), [Int]())) { parts, unit in
            let unit = pending[unit.id] ?? unit
            if let deadline = unit.deadline, deadline <= now { parts.1.append(unit.id) } else { parts.0.append(unit) }
        }
        return (LaneRun(lane: run.lane, replica: run.replica, inputs: rest), expired.isEmpty ? [] : expire(expired))
    }

    /// The batch of `run` waited for another model's: its inputs go back and the lane chooses anew.
    mutating func chooseAnew(_ run: LaneRun, now: Int) -> [Launch] {
        var items: [BatchPlanner.Item] = []
        for unit in run.inputs {
            guard let current = pending[unit.id], !current.askers.isEmpty else {
                _ = remove(unit.id)
                continue
            }
            pending[unit.id]?.isRunning = false
            items.append(current.item)
        }
        guard devices[run.lane] == nil else { return apply(planner.relaunch(run.lane, items: items, now: now), now: now) }
        // The device went while the batch waited for it.
        if let refusal { return items.flatMap { fail($0.id, refusal) } }
        return apply(planner.putBack([BatchPlanner.Replay(items, company: run.isSuspect ? .none : .any)], now: now), now: now)
    }

    /// Ends the requests of all who wait for an input.
    private mutating func fail(_ id: Int, _ error: ApusError) -> [Launch] {
        (remove(id)?.askers ?? []).flatMap { close($0.request, .failure(error)) }
    }

    mutating func deliver(_ run: LaneRun, _ shape: BatchShape, _ outputs: [Work.Output], started: Int, ended: Int) -> [Launch] {
        let longest = run.inputs.reduce(0) { max($0, $1.input.tokens) }
        var launches: [Launch] = []
        var latencies: [Int] = []
        for (unit, output) in zip(run.inputs, outputs) {
            guard let unit = remove(unit.id) else { continue }
            for (place, asker) in unit.askers.enumerated() {
                let account = Answers.Run(
                    device: run.replica.device, precision: run.replica.precision, fallback: run.replica.fallback,
                    batchSize: shape.count, padding: run.replica.work.pads ? longest - unit.input.tokens : 0,
                    queueNanoseconds: max(0, started - asker.enqueued), runNanoseconds: ended - started, isShared: place > 0, group: run.replica.devices)
                latencies.append(ended - asker.enqueued)
                launches += settle(asker.request, asker.row, .success(output), account)
            }
        }
        launches += raiseCeiling(run, computed: shape.computed)
        let outcome = BatchPlanner.Outcome(shape: shape, nanoseconds: ended - started, latencies: latencies)
        return launches + apply(planner.laneFinished(run.lane, outcome, now: ended), now: ended)
    }

    /// Carries out what is decided about a failed batch. Inputs that nobody waits for any more are dropped.
    mutating func putBack(_ failed: FailedBatch<Work.Input>, from run: LaneRun, _ error: ApusError, now: Int) -> [Launch] {
        for unit in failed.quarantined {
            if let identity = unit.input.identity { quarantine.insert(identity, now: now) }
        }
        var launches = remember(error, run)
        let quarantined = Set(failed.quarantined.map(\.id))
        for (unit, error) in failed.failures {
            for asker in remove(unit.id)?.askers ?? [] {
                let error = quarantined.contains(unit.id) ? .quarantined(row: asker.row, cause: error) : error
                launches += fail(asker, error)
            }
        }
        // What ran when all that waited was refused has nobody to wait for either.
        if let refusal {
            return launches + failed.replays.joined().flatMap { fail($0.id, refusal) }
        }
        var replays: [BatchPlanner.Replay] = []
        for group in failed.replays {
            var items: [BatchPlanner.Item] = []
            for tried in group {
                pending[tried.id]?.history = tried.history
                pending[tried.id]?.isRunning = false
                guard let unit = pending[tried.id], !unit.askers.isEmpty else {
                    _ = remove(tried.id)
                    continue
                }
                items.append(unit.item)
            }
            replays.append(
                BatchPlanner.Replay(items, avoiding: failed.avoidsDevice ? numbers[run.replica.device] : nil, company: failed.company))
        }
        return launches + apply(planner.putBack(replays, now: now), now: now)
    }

    private mutating func fail(_ asker: Pending.Asker, _ error: ApusError) -> [Launch] {
        guard requests[asker.request]?.isPartial == true else { return close(asker.request, .failure(error)) }
        return settle(asker.request, asker.row, .failure(error), .init())
    }

    /// A batch that was too large says how large is too large.
    private mutating func remember(_ error: ApusError, _ run: LaneRun) -> [Launch] {
        guard error.deviceFailure == .outOfMemory, run.inputs.count > 1, let number = numbers[run.replica.device] else { return [] }
        let longest = run.inputs.reduce(0) { max($0, $1.input.tokens) }
        let ceiling = max(longest, run.shape.computed / 2)
        guard ceiling < planner.ceiling(device: number) ?? .max else { return [] }
        planner.setCeiling(ceiling, device: number)
        wellUnderCeiling[number] = 0
        return [.ceiling(run.replica.device, ceiling)]
    }

    private mutating func raiseCeiling(_ run: LaneRun, computed: Int) -> [Launch] {
        guard let number = numbers[run.replica.device], let ceiling = planner.ceiling(device: number), computed > ceiling / 2 else { return [] }
        wellUnderCeiling[number, default: 0] += 1
        guard wellUnderCeiling[number] == Self.provesCeiling else { return [] }
        wellUnderCeiling[number] = 0
        let raised = ceiling.addingReportingOverflow(ceiling / 4 + 1)
        guard !raised.overflow else { return [] }
        planner.setCeiling(raised.partialValue, device: number)
        return [.ceiling(run.replica.device, raised.partialValue)]
    }
}
