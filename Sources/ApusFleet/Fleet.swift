package import ApusDevices
package import ApusErrors
package import ApusExecution
package import ApusTensor
package import Logging
import NIOConcurrencyHelpers

/// The devices of a process and the models on them: starts executors, loads and proves models, gives them work and takes it away, and
/// brings back what failed. What to do is decided by ``FleetState``; this carries it out.
package final class Fleet: Sendable {
    private let source: any ExecutorSource
    let logger: Logger
    let metrics: DeviceMetrics
    /// Nil where every device serves by itself.
    let planMetrics: PlanMetrics?
    let state: NIOLockedValueBox<FleetState>
    private let models = NIOLockedValueBox<[any FleetModel]>([])
    private let toldCapacities = NIOLockedValueBox<[ObjectIdentifier: Double]>([:])
    let settling = Settling()
    let waiters = NIOLockedValueBox<[ServingWaiter]>([])
    private let ticking = NIOLockedValueBox<Task<Void, Never>?>(nil)
    private let origin = ContinuousClock.now

    /// How often what is due by itself is looked for.
    private static let tick = Duration.milliseconds(100)

    package init(
        _ plan: FleetPlan, source: any ExecutorSource, logger: Logger, metrics: DeviceMetrics = DeviceMetrics()
    ) {
        self.source = source
        self.logger = logger
        self.metrics = metrics
        state = NIOLockedValueBox(FleetState(plan))
        planMetrics = plan.parallel.map { PlanMetrics($0.wished) }
        for member in plan.members { metrics.found(member.info) }
    }

    deinit {
        ticking.withLockedValue { $0?.cancel() }
    }

    /// Starts the devices. Returns at once.
    package func start() {
        let now = now
        state.withLockedValue { $0.start(now: now) }
        carryOut()
        ticking.withLockedValue { task in
            task = task ?? Task { [weak self] in
                while !Task.isCancelled {
                    guard let self else { return }
                    self.tick()
                    try? await Task.sleep(for: Self.tick)
                }
            }
        }
    }

    /// Puts `model` on every device that serves, and on those that come later. Returns once one device serves it.
    ///
    /// Throws what loading throws when no device can have it, and `no_device` when there is none.
    package func add(_ model: any FleetModel) async throws(ApusError) {
        models.withLockedValue { $0.append(model) }
        do throws(ApusError) {
            try await place(model)
        } catch {
            remove(model)
            throw error
        }
    }

    /// Takes `model` off all devices.
    package func remove(_ model: any FleetModel) {
        models.withLockedValue { $0.removeAll { $0 === model } }
        toldCapacities.withLockedValue { $0[ObjectIdentifier(model)] = nil }
        for (device, executor) in state.withLockedValue({ $0.executors }) {
            model.close(device)
            model.unload(from: executor)
        }
    }

    /// Samples of devices, as they come.
    package func sampled(_ infos: [GPUInfo]) {
        let now = now
        for info in infos {
            state.withLockedValue { $0.sampled(info, now: now) }
            if let sample = state.withLockedValue({ $0.units[info.device]?.info.sample }) { metrics.sampled(sample) }
        }
        carryOut()
    }

    /// The sensors cannot be read.
    package func samplesMissing() {
        for device in state.withLockedValue({ $0.order }) where device.kind == .cuda { metrics.sampleMissing(of: device) }
    }

    /// Ends all executors and lets go of the models. What still runs fails with `device_unavailable`, what waits with `shutting_down`.
    package func shutdown() async {
        ticking.withLockedValue { $0?.cancel() }
        let executors = state.withLockedValue { $0.stop() }
        await withDiscardingTaskGroup { group in
            for executor in executors { group.addTask { await executor.shutdown() } }
        }
        for model in currentModels {
            model.refuse(with: ApusError(.shuttingDown, "the devices were shut down"))
            remove(model)
        }
        wakeWaiters()
    }

    /// All devices as they stand.
    package func status() -> FleetStatus {
        let now = now
        return state.withLockedValue { FleetStatus($0, source, now: now) }
    }

    /// Nanoseconds since the fleet was made.
    var now: Int {
        let (seconds, attoseconds) = (ContinuousClock.now - origin).components
        return Int(seconds) &* 1_000_000_000 &+ Int(attoseconds / 1_000_000_000)
    }

    func handle(_ device: DeviceID, _ event: RecoveryEvent) {
        let now = now
        state.withLockedValue { $0.handle(device, event, now: now) }
        carryOut()
    }

    private func tick() {
        let now = now
        let nobodyServes = state.withLockedValue { state in
            state.tick(now: now)
            return state.plan.serving.isEmpty
        }
        carryOut()
        lookAtMemory()
        scale(now: now)
        tellPlan()
        if nobodyServes { for model in models.withLockedValue({ $0 }) { model.expireWaiting() } }
    }
}

extension Fleet: BatchObserver {
    package func batchBegan(on device: DeviceID) {
        state.withLockedValue { $0.batchBegan(device) }
    }

    package func batchEnded(_ report: BatchReport) {
        let now = now
        let computed = state.withLockedValue { $0.units[report.device]?.process }.flatMap(ProcessorTime.seconds)
        state.withLockedValue { $0.batchEnded(report, computed: computed, now: now) }
        metrics.batchEnded(report)
        carryOut()
    }
}

// MARK: - Effects

extension Fleet {
    /// Carries out what was decided, in the order of the decisions, on whichever thread comes first.
    func carryOut() {
        var effects = state.withLockedValue { $0.takeEffects(continuing: false) }
        guard !effects.isEmpty else { return }
        while !effects.isEmpty {
            for effect in effects { carryOut(effect) }
            effects = state.withLockedValue { $0.takeEffects(continuing: true) }
        }
        tellCapacities()
    }

    /// Tells every model which share of the speed that is meant for it is there now.
    func tellCapacities() {
        for model in currentModels {
            toldCapacities.withLockedValue { told in
                let open = state.withLockedValue { $0.order }.filter { model.isOpen(on: $0) }
                let capacity = state.withLockedValue { $0.capacity(for: model.assignedDevice, on: Set(open)) }
                guard told.updateValue(capacity, forKey: ObjectIdentifier(model)) != capacity else { return }
                model.setCapacity(capacity)
            }
        }
    }

    private func carryOut(_ effect: FleetEffect) {
        let models = models.withLockedValue { $0 }
        switch effect {
        case .start(let device, let worker):
            Task { await startWorker(device, worker) }
        case .kill(let executor):
            for model in models { model.unload(from: executor) }
            Task { await executor.shutdown() }
        case .forget(let executor):
            for model in models { model.unload(from: executor) }
        case .handOver(let executor):
            Task { await handOver(executor) }
        case .prove(let device, let worker, let times):
            Task { await prove(device, worker, times) }
        case .open(let executor, let share, let fallback):
            for model in models {
                model.open(on: executor, share: share, fallback: stage(of: model, on: executor.device, planned: fallback))
            }
            wakeWaiters()
        case .close(let device):
            for model in models { model.close(device) }
        case .adjust(let device, let share, let fallback):
            for model in models {
                model.adjust(device, share: share, fallback: stage(of: model, on: device, planned: fallback))
            }
        case .capacity(let capacity): metrics.capacity(capacity)
        case .refuse(let isNews):
            if isNews { logger.error("no device serves and none may stand in: requests are refused") }
            let error = noDevice(for: nil)
            for model in models { model.refuse(with: error) }
            wakeWaiters()
        case .settle(let device): settleAssignments(to: device)
        case .note(let level, let text): logger.log(level: level.logLevel, "\(text)")
        case .changed(let device, let stage, let fallback, let weight, let isServing):
            metrics.changed(device, stage: stage, fallback: fallback, weight: weight, isServing: isServing)
            settleAssignments(to: device)
        case .began(let device): state.withLockedValue { $0.units[device]?.member.faults }?.beganServing()
        case .recovered(let device, let seconds): metrics.recovered(device, seconds: seconds)
        case .retired(let device): metrics.removed(device)
        case .planned(let step): planned(step)
        }
    }

    var currentModels: [any FleetModel] { models.withLockedValue { $0 } }

    /// - Parameter assigned: the only device that could serve; nil for any.
    func noDevice(for assigned: DeviceID?) -> ApusError {
        let (reasons, attempt) = state.withLockedValue { state in
            let devices = state.order.filter { $0 == assigned ?? $0 }
            return (
                devices.compactMap { device in state.units[device]?.recovery.lastReason.map { "\(device): \($0)" } },
                state.nextAttempt(of: assigned)
            )
        }
        return ApusError(
            .noDevice, "no device serves now (\(reasons.joined(separator: "; ")))",
            advice: "`apus gpu status` tells more; with a fallback other than `fail` the CPU would stand in",
            cause: NextAttempt(at: attempt.map { origin + .nanoseconds($0) }))
    }

    private func startWorker(_ device: DeviceID, _ worker: Int) async {
        guard let order = state.withLockedValue({ $0.order(for: device, worker) }) else { return }
        let faults = Dictionary(order.faults.map { ($0.0, $0.1.injector) }) { first, _ in first }
        var isRunning = false
        do throws(ApusError) {
            let executor = try await source.executor(order.settings, faults: faults) { [weak self] cause, text in
                self?.died(device, worker, cause, text)
            }
            let process = source.identity(of: executor)?.pid
            guard state.withLockedValue({ $0.started(executor, on: device, worker: worker, process: process) }) else { return await executor.shutdown() }
            isRunning = true
            if order.hasModels { try await loadAll(executor) }
            handle(device, .workerReady(worker: worker))
        } catch {
            // Somebody outside ended it, which is no fault of the device. A worker that had been handed over tells of its end by itself.
            if error.deviceFailure == .killed {
                if !isRunning { died(device, worker, .killed, "was ended from outside before it had started") }
                return
            }
            if error.deviceFailure == .unavailable, isRunning { return }
            let isNews = state.withLockedValue { $0.failedToStart(error, device, worker: worker) }
            if isNews { logger.error("\(device) cannot be used: \(error)") }
            metrics.spawnFailed(device)
            handle(device, .spawnFailed(worker: worker, error.code))
            wakeWaiters()
        }
    }

    /// Loads what the fleet has, and what is added while it loads.
    private func loadAll(_ executor: any Executor) async throws(ApusError) {
        var loaded: [any FleetModel] = []
        while let next = models.withLockedValue({ $0.first { model in !loaded.contains { $0 === model } } }) {
            loaded.append(next)
            guard mayHave(next, executor.device) else { continue }
            do throws(ApusError) {
                try await next.load(onto: executor)
            } catch {
                guard isWanted(next) else { continue }
                guard error.code == .insufficientMemory else { throw error }
                logger.error("\(executor.device) serves without \(next.name): \(error)")
            }
        }
    }

    private func died(_ device: DeviceID, _ worker: Int, _ cause: WorkerDeath.Cause, _ text: String) {
        logger.warning("\(device): worker \(worker) \(text)")
        metrics.restarted(device, after: cause)
        let now = now
        state.withLockedValue { $0.died(device, worker: worker, cause, now: now) }
        carryOut()
    }

    private func prove(_ device: DeviceID, _ worker: Int, _ times: Int) async {
        for _ in 0..<times {
            guard let running = state.withLockedValue({ $0.running(device, worker) }) else { return }
            guard let answer = running.hasModels ? await proveOnce(running.executor) : await lookOnce(running.executor) else { return }
            metrics.knownAnswer(answer, on: device)
            let now = now
            state.withLockedValue { $0.answered(device, worker: worker, answer, now: now) }
            carryOut()
            if answer != .right { return }
        }
    }

    /// Whether a device works that no model is loaded on. Nil as for ``proveOnce(_:)``.
    private func lookOnce(_ executor: any Executor) async -> KnownAnswer? {
        do throws(ApusError) {
            _ = try await executor.memory()
            return .right
        } catch {
            if error.deviceFailure == .killed || error.deviceFailure == .unavailable { return nil }
            logger.error("\(executor.device) does not answer: \(error)")
            return .failed
        }
    }

    /// Nil when somebody outside ended the executor, or it had ended before, of which it tells by itself.
    private func proveOnce(_ executor: any Executor) async -> KnownAnswer? {
        for model in models.withLockedValue({ $0 }) where mayHave(model, executor.device) {
            do throws(ApusError) {
                // One that was added since the worker loaded the others is loaded now.
                try await model.load(onto: executor)
                _ = try await model.prove(on: executor)
            } catch {
                // A model that has no room here was refused in so many words when it was loaded.
                if error.code == .insufficientMemory || !isWanted(model) { continue }
                if error.deviceFailure == .killed || error.deviceFailure == .unavailable { return nil }
                logger.error("\(executor.device): \(model.name) gave no right answer: \(error)")
                return error.code == .wrongAnswer ? .wrong : .failed
            }
        }
        return .right
    }
}

extension RecoveryAction.Level {
    fileprivate var logLevel: Logger.Level {
        switch self {
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
