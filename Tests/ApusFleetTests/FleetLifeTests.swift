import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import Logging
import NIOConcurrencyHelpers
import Testing

@Suite("What a fleet does when workers end", .timeLimit(.minutes(1)))
struct FleetLifeTests {
    private static let device = DeviceID(.cpu, 0)

    /// A fleet of one device that starts workers without delay, and never again after too many of the device's own failures.
    private func fleet(
        _ source: ScriptedSource, device: DeviceID = FleetLifeTests.device,
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) throws -> Fleet {
        let policy = try RecoveryPolicy(
            restarts: {
                var restarts = RecoveryPolicy.Restarts()
                restarts.spacing = .milliseconds(1)
                restarts.backoffStart = .milliseconds(1)
                restarts.backoffMax = .seconds(86_400)
                return restarts
            }())
        let member = FleetPlan.Member(
            ExecutorSettings(device: device, lanes: 1, engineLibrary: "none"), info: GPUInfo(device: device, name: "scripted"))
        return Fleet(try FleetPlan([member], policy: policy), source: source, logger: logger)
    }

    @Test("Nothing of a worker that ended is kept")
    func nothingIsKept() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try fleet(source)
        fleet.start()
        try await fleet.add(model)
        for round in 1...4 {
            let executor = try #require(model.open)
            #expect(source.started == round && model.loaded == [ObjectIdentifier(executor)])
            source.end(.killed)
            while model.open.map({ $0 === executor }) ?? true { await Task.yield() }
        }
        #expect(model.loaded.count == 1)
        await fleet.shutdown()
    }

    @Test("Workers that somebody kills before they serve count against nobody")
    func killedBeforeServing() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        // One while it starts, one while it loads, one while it proves itself, more often than a device may fail.
        source.fail(next: 6, with: ApusError(.workerKilled, "killed at the start"))
        model.onLoad(times: 6) { source.end(.killed) }
        model.onProof(times: 6) { source.end(.killed) }
        let fleet = try fleet(source)
        fleet.start()
        try await fleet.add(model)
        while model.open == nil { await Task.yield() }
        #expect(source.started > 12)
        await fleet.shutdown()
    }

    @Test("A system without room for a worker is waited for, and said once")
    func noRoomForWorkers() async throws {
        let (source, model, lines) = (ScriptedSource(), WitnessModel(), LogLines())
        source.fail(next: 8, with: ApusError(.resourcesExhausted, "too many open files"))
        let fleet = try fleet(source, logger: lines.logger)
        fleet.start()
        try await fleet.add(model)
        #expect(source.started == 9)
        #expect(lines.all.count { $0.contains("too many open files") } == 1)
        await fleet.shutdown()
    }

    @Test("A lost device is not probed, and the operator is told why")
    func probeOfALostDevice() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let gpu = DeviceID(.cuda, 0)
        let fleet = try fleet(source, device: gpu)
        fleet.start()
        try await fleet.add(model)
        try fleet.probe(gpu)
        var info = GPUInfo(device: gpu, name: "scripted")
        info.sample = DeviceSample(device: gpu, answer: .lost)
        fleet.sampled([info])
        let refusal = #expect(throws: ApusError.self) { try fleet.probe(gpu) }
        #expect(refusal?.code == .deviceGone && refusal?.advice?.contains("Restart the machine") == true)
        await fleet.shutdown()
    }

    @Test("A worker that cannot load a model is ended, and forgotten by the others")
    func failedLoad() async throws {
        let (source, first, second) = (ScriptedSource(), WitnessModel(), WitnessModel())
        let fleet = try fleet(source)
        fleet.start()
        try await fleet.add(first)
        try await fleet.add(second)
        second.refuse(next: 1)
        source.end(.killed)
        while first.open == nil || source.shutDown == 0 { await Task.yield() }
        #expect(first.loaded.count == 1 && source.shutDown == 1)
        await fleet.shutdown()
    }
}

/// Executors that run nothing and end when told.
private final class ScriptedSource: ExecutorSource {
    private struct State {
        var failures: [ApusError] = []
        var started = 0
        var shutDown = 0
        var running: (@Sendable (WorkerDeath.Cause, String) -> Void)?
    }

    private let state = NIOLockedValueBox(State())

    /// Executors that were asked for.
    var started: Int { state.withLockedValue { $0.started } }
    var shutDown: Int { state.withLockedValue { $0.shutDown } }

    func fail(next count: Int, with error: ApusError) {
        state.withLockedValue { $0.failures = Array(repeating: error, count: count) }
    }

    /// Ends the latest executor.
    func end(_ cause: WorkerDeath.Cause) {
        let tell = state.withLockedValue { state in
            defer { state.running = nil }
            return state.running
        }
        tell?(cause, "was ended by the test")
    }

    func executor(
        _ settings: ExecutorSettings, faults: (any FaultInjector)?,
        onDeath: @escaping @Sendable (WorkerDeath.Cause, String) -> Void
    ) async throws(ApusError) -> any Executor {
        let failure = state.withLockedValue { state in
            state.started += 1
            state.running = onDeath
            return state.failures.popLast()
        }
        if let failure { throw failure }
        return IdleExecutor(settings.device) { [state] in state.withLockedValue { $0.shutDown += 1 } }
    }

    func identity(of executor: any Executor) -> ExecutorIdentity? { nil }
}

private final class IdleExecutor: Executor {
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
private final class WitnessModel: FleetModel {
    private struct State {
        var loaded: Set<ObjectIdentifier> = []
        var open: (any Executor)?
        var refusals = 0
        var atLoad: (times: Int, act: @Sendable () -> Void)?
        var atProof: (times: Int, act: @Sendable () -> Void)?
    }

    let name = "witness"
    private let state = NIOLockedValueBox(State())

    var loaded: Set<ObjectIdentifier> { state.withLockedValue { $0.loaded } }
    var open: (any Executor)? { state.withLockedValue { $0.open } }

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
    func open(on executor: any Executor, share: Double, fallback: FallbackStage) { state.withLockedValue { $0.open = executor } }
    func close(_ device: DeviceID) { state.withLockedValue { $0.open = nil } }
    func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) {}
    func setCapacity(_ capacity: Double) {}
    func refuse(with error: ApusError) {}
    func expireWaiting() {}
}
