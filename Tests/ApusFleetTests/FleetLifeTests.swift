import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import Logging
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

    @Test("A model that is unloaded leaves its devices, and its name is unknown from then on")
    func unloading() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try fleet(source)
        fleet.start()
        try await fleet.add(model)
        #expect(model.loaded.count == 1 && model.open != nil)
        try await fleet.unload("witness")
        #expect(model.loaded.isEmpty && model.open == nil)
        await #expect { try await fleet.unload("witness") } throws: { ($0 as? ApusError)?.code == .modelNotFound }
        // What the device needs for others is not given back to this one.
        source.end(.killed)
        while source.started < 2 { await Task.yield() }
        try await fleet.add(WitnessModel())
        #expect(model.loaded.isEmpty)
        await fleet.shutdown()
    }

    @Test("A fleet that ends lets go of its models, and tells those who wait")
    func ending() async throws {
        let model = WitnessModel()
        let fleet = try fleet(ScriptedSource())
        fleet.start()
        try await fleet.add(model)
        await fleet.shutdown()
        #expect(model.loaded.isEmpty && model.open == nil && model.refusal?.code == .shuttingDown)
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
