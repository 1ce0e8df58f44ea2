import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import NIOConcurrencyHelpers

/// Executors that run nothing and end when told.
final class ScriptedSource: ExecutorSource {
    private struct State {
        var failures: [ApusError] = []
        var groupFailure: ApusError?
        var settings: [ExecutorSettings] = []
        var started = 0
        var shutDown = 0
        var running: [(device: DeviceID, tell: @Sendable (WorkerDeath.Cause, String) -> Void)] = []
    }

    private let state = NIOLockedValueBox(State())

    /// Executors that were asked for.
    var started: Int { state.withLockedValue { $0.started } }
    var shutDown: Int { state.withLockedValue { $0.shutDown } }
    /// Of all that were asked for, in their order.
    var settings: [ExecutorSettings] { state.withLockedValue { $0.settings } }

    func failGroups(with error: ApusError) { state.withLockedValue { $0.groupFailure = error } }

    func fail(next count: Int, with error: ApusError) {
        state.withLockedValue { $0.failures = Array(repeating: error, count: count) }
    }

    /// Ends the latest executor, or that of a device.
    func end(_ cause: WorkerDeath.Cause, on device: DeviceID? = nil) {
        let ended = state.withLockedValue { state in
            let place = state.running.lastIndex { $0.device == device ?? $0.device }
            return place.map { state.running.remove(at: $0) }
        }
        ended?.tell(cause, "was ended by the test")
    }

    func executor(
        _ settings: ExecutorSettings, faults: [DeviceID: any FaultInjector],
        onDeath: @escaping @Sendable (WorkerDeath.Cause, String) -> Void
    ) async throws(ApusError) -> any Executor {
        let failure = state.withLockedValue { state in
            state.started += 1
            state.settings.append(settings)
            state.running.append((settings.device, onDeath))
            return settings.group == nil ? state.failures.popLast() : state.groupFailure ?? state.failures.popLast()
        }
        if let failure { throw failure }
        return IdleExecutor(settings.device) { [state] in state.withLockedValue { $0.shutDown += 1 } }
    }

    func identity(of executor: any Executor) -> ExecutorIdentity? { nil }
}

final class IdleExecutor: Executor {
    let device: DeviceID
    let laneCount = 1
    private let onShutdown: @Sendable () -> Void

    init(_ device: DeviceID, _ onShutdown: @escaping @Sendable () -> Void) {
        self.device = device
        self.onShutdown = onShutdown
    }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel { throw ApusError(.engineFailure, "nothing runs here") }
    func submit(_ work: @escaping @Sendable () -> Void) { work() }
    func prepare<Value: Sendable>(_ work: @escaping @Sendable () throws(ApusError) -> Value) async throws(ApusError) -> Value { try work() }
    func memory() async throws(ApusError) -> DeviceMemory { DeviceMemory() }
    func clearCache() async throws(ApusError) {}
    func shutdown() async { onShutdown() }
}

/// Remembers where it is loaded and open.
final class WitnessModel: FleetModel {
    private struct State {
        var loaded: Set<ObjectIdentifier> = []
        var open: [DeviceID: any Executor] = [:]
        var capacities: [Double] = []
        var refusal: ApusError?
        var refusals = 0
        var mostLoaded = 0
        var queuedSeconds: Double?
        var atLoad: (times: Int, act: @Sendable () -> Void)?
        var atProof: (times: Int, act: @Sendable () -> Void)?
    }

    let name = "witness"
    let assignedDevice: DeviceID?
    private let state = NIOLockedValueBox(State())

    init(only device: DeviceID? = nil) {
        assignedDevice = device
    }

    var loaded: Set<ObjectIdentifier> { state.withLockedValue { $0.loaded } }
    /// One that it is open on.
    var open: (any Executor)? { state.withLockedValue { $0.open.values.first } }
    func executor(on device: DeviceID) -> (any Executor)? { state.withLockedValue { $0.open[device] } }
    /// The most executors that it was loaded on at once.
    var mostLoaded: Int { state.withLockedValue { $0.mostLoaded } }
    func forgetLargest() { state.withLockedValue { $0.mostLoaded = $0.loaded.count } }
    var queuedSeconds: Double? { state.withLockedValue { $0.queuedSeconds } }
    func queued(seconds: Double) { state.withLockedValue { $0.queuedSeconds = seconds } }
    var openDevices: Set<DeviceID> { state.withLockedValue { Set($0.open.keys) } }
    /// What was told, the latest last.
    var capacities: [Double] { state.withLockedValue { $0.capacities } }
    /// What it refuses with; nil while it is open.
    var refusal: ApusError? { state.withLockedValue { $0.refusal } }

    func refuse(next count: Int) { state.withLockedValue { $0.refusals = count } }

    /// Whatever is killed at the time throws as killed.
    func onLoad(times: Int, _ act: @escaping @Sendable () -> Void) { state.withLockedValue { $0.atLoad = (times, act) } }
    func onProof(times: Int, _ act: @escaping @Sendable () -> Void) { state.withLockedValue { $0.atProof = (times, act) } }

    func load(onto executor: any Executor) async throws(ApusError) {
        let id = ObjectIdentifier(executor)
        guard !loaded.contains(id) else { return }
        try strike(\.atLoad)
        let refused = state.withLockedValue { state in
            state.refusals -= 1
            if state.refusals < 0 { state.loaded.insert(id) }
            state.mostLoaded = max(state.mostLoaded, state.loaded.count)
            return state.refusals >= 0
        }
        if refused { throw ApusError(.engineFailure, "refused by the test") }
    }

    func prove(on executor: any Executor) async throws(ApusError) -> Double {
        try strike(\.atProof)
        return 1
    }

    private func strike(_ path: any WritableKeyPath<State, (times: Int, act: @Sendable () -> Void)?> & Sendable) throws(ApusError) {
        let act: (@Sendable () -> Void)? = state.withLockedValue { state in
            guard let strike = state[keyPath: path], strike.times > 0 else { return nil }
            state[keyPath: path]?.times -= 1
            return strike.act
        }
        guard let act else { return }
        act()
        throw ApusError(.workerKilled, "killed by the test")
    }

    func unload(from executor: any Executor) { state.withLockedValue { _ = $0.loaded.remove(ObjectIdentifier(executor)) } }
    func open(on executor: any Executor, share: Double, fallback: FallbackStage) {
        state.withLockedValue { state in
            // As a scheduler does: what is not loaded cannot be opened.
            guard state.loaded.contains(ObjectIdentifier(executor)) else { return }
            state.open[executor.device] = executor
            state.refusal = nil
        }
    }

    func isOpen(on device: DeviceID) -> Bool { openDevices.contains(device) }
    func close(_ device: DeviceID) { state.withLockedValue { $0.open[device] = nil } }
    func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) {}
    func setCapacity(_ capacity: Double) { state.withLockedValue { $0.capacities.append(capacity) } }
    func refuse(with error: ApusError) { state.withLockedValue { $0.refusal = error } }
    func expireWaiting() {}
}
