import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusTensor
import Testing

@Suite("Groups of a fleet that end and form anew", .timeLimit(.minutes(1)))
struct PlannedFleetTests {
    private static func cpu(_ index: Int) -> DeviceID { TestPlan.cpu(index) }

    @Test("A group is one executor, of the devices and layers of the plan")
    func oneExecutor() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(4, tensor: 2, pipeline: 2), source)
        fleet.start()
        try await fleet.add(model)
        #expect(model.openDevices == [Self.cpu(0)] && source.started == 1)
        let group = try #require(source.settings.first?.group)
        #expect(group.devices == [[Self.cpu(0), Self.cpu(1)], [Self.cpu(2), Self.cpu(3)]])
        let status = try #require(fleet.status().plan)
        #expect(status.current == "[[0,1],[2,3]]" && status.wished == status.current && status.units.first?.layers == [0..<3, 3..<6])
        #expect(fleet.status().capacity == 1 && fleet.status().remedy == .none)
        await fleet.shutdown()
    }

    @Test("A group whose worker was killed is looked at device by device and formed again")
    func killed() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(2, tensor: 2), source)
        fleet.start()
        try await fleet.add(model)
        let first = try #require(model.open)
        source.end(.killed)
        while model.open.map({ $0 === first }) ?? true { try await Task.sleep(for: .milliseconds(2)) }
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]]])
        // The group, a look at each device, the group again.
        #expect(source.settings.map { $0.group?.devices.flatMap(\.self).count ?? 1 } == [2, 1, 1, 2])
        #expect(model.loaded.count == 1 && fleet.status().plan?.lastStep?.kind == .restored)
        await fleet.shutdown()
    }

    @Test("A group that a device was the end of goes on as one device, and with it again when it has come back")
    func culprit() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(2, tensor: 2), source)
        fleet.start()
        try await fleet.add(model)
        fleet.batchBegan(on: Self.cpu(0))
        fleet.batchEnded(
            BatchReport(
                device: Self.cpu(0), result: .failed(.lost, .nobody), sequences: 1, tokens: 8, seconds: 1e-6, culprit: Self.cpu(1)))
        await fleet.serves([[[Self.cpu(0)]]])
        #expect(model.openDevices == [Self.cpu(0)])
        #expect(fleet.status().capacity == 0.5 && fleet.status().remedy == .fewerDevices)
        #expect(fleet.status().plan?.lastStep?.kind == .oneDevice && fleet.status().plan?.lastStep?.cause == .deviceLost)
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]]])
        #expect(fleet.status().plan?.lastStep?.kind == .restored && fleet.status().capacity == 1)
        while model.loaded.count > 1 { try await Task.sleep(for: .milliseconds(2)) }
        #expect(model.openDevices == [Self.cpu(0)])
        await fleet.shutdown()
    }

    @Test("With room the next unit is ready before the last one goes; without, the last one finishes first", arguments: [nil, 80_000_000])
    func handingOver(memory: Int?) async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(2, tensor: 2, memory: memory), source)
        fleet.start()
        try await fleet.add(model)
        fleet.batchBegan(on: Self.cpu(0))
        fleet.batchEnded(
            BatchReport(
                device: Self.cpu(0), result: .failed(.lost, .nobody), sequences: 1, tokens: 8, seconds: 1e-6, culprit: Self.cpu(1)))
        await fleet.serves([[[Self.cpu(0)]]])
        model.forgetLargest()
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]]])
        #expect(model.mostLoaded == (memory == nil ? 2 : 1))
        await fleet.shutdown()
    }

    @Test("A group without room to be loaded beside what serves waits until that has nothing to do")
    func draining() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(2, tensor: 2, memory: 80_000_000), source)
        fleet.start()
        try await fleet.add(model)
        fleet.batchBegan(on: Self.cpu(0))
        let lost = BatchReport(device: Self.cpu(0), result: .failed(.lost, .nobody), sequences: 1, tokens: 8, seconds: 1e-6, culprit: Self.cpu(1))
        fleet.batchEnded(lost)
        await fleet.serves([[[Self.cpu(0)]]])
        fleet.batchBegan(on: Self.cpu(0))
        while model.open != nil { try await Task.sleep(for: .milliseconds(2)) }
        let started = source.started
        try await Task.sleep(for: .milliseconds(300))
        #expect(source.started == started && model.loaded.count == 1)
        fleet.batchEnded(BatchReport(device: Self.cpu(0), result: .succeeded, sequences: 1, tokens: 8, seconds: 1e-6))
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]]])
        await fleet.shutdown()
    }

    @Test("Only the group that lost a device is dissolved")
    func oneOfTwoGroups() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(4, tensor: 2, replicas: 2), source)
        fleet.start()
        try await fleet.add(model)
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]], [[Self.cpu(2), Self.cpu(3)]]])
        let other = try #require(model.executor(on: Self.cpu(0)))
        fleet.batchBegan(on: Self.cpu(2))
        fleet.batchEnded(
            BatchReport(
                device: Self.cpu(2), result: .failed(.sticky, .nobody), sequences: 1, tokens: 8, seconds: 1e-6, culprit: Self.cpu(2)))
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]], [[Self.cpu(3)]]])
        #expect(model.executor(on: Self.cpu(0)) === other && model.openDevices == [Self.cpu(0), Self.cpu(3)])
        await fleet.serves([[[Self.cpu(0), Self.cpu(1)]], [[Self.cpu(2), Self.cpu(3)]]])
        #expect(model.executor(on: Self.cpu(0)) === other)
        await fleet.shutdown()
    }

    @Test("Replicas shrink and grow again, and the steps are told")
    func replicas() async throws {
        let (source, model, lines) = (ScriptedSource(), WitnessModel(), LogLines())
        let fleet = try TestPlan.fleet(try TestPlan.plan(2), source, logger: lines.logger)
        fleet.start()
        try await fleet.add(model)
        await fleet.serves([[[Self.cpu(0)]], [[Self.cpu(1)]]])
        let first = try #require(model.executor(on: Self.cpu(1)))
        source.end(.killed, on: Self.cpu(1))
        while model.executor(on: Self.cpu(1)).map({ $0 === first }) ?? true { try await Task.sleep(for: .milliseconds(2)) }
        await fleet.serves([[[Self.cpu(0)]], [[Self.cpu(1)]]])
        #expect(lines.all.contains { $0.contains("plan: shrunk (killed)") } && lines.all.contains { $0.contains("plan: restored") })
        #expect(source.started == 3)
        await fleet.shutdown()
    }

    @Test("A device that a sensor reports lost leaves its group")
    func sensors() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(3, pipeline: 3, kind: .sim), source)
        fleet.start()
        try await fleet.add(model)
        var info = GPUInfo(device: DeviceID(.sim, 1), name: "scripted")
        info.sample = DeviceSample(device: DeviceID(.sim, 1), answer: .lost)
        fleet.sampled([info])
        await fleet.serves([[[DeviceID(.sim, 0)], [DeviceID(.sim, 2)]]])
        let devices = fleet.status().devices
        #expect(devices[1].stage == .lost && devices[0].isServing && devices[2].isServing && !devices[1].isServing)
        await fleet.shutdown()
    }

    @Test("A group that cannot start ends as what its devices can do by themselves")
    func groupThatCannotStart() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel())
        source.failGroups(with: ApusError(.deviceUnavailable, "refused by the test"))
        let fleet = try TestPlan.fleet(try TestPlan.plan(2, tensor: 2), source)
        fleet.start()
        try await fleet.add(model)
        await fleet.serves([[[Self.cpu(0)]]])
        #expect(fleet.status().plan?.current == "[[0]]")
        await fleet.shutdown()
    }

    @Test("A fleet whose devices cannot start at all says why")
    func nothingStarts() async throws {
        let source = ScriptedSource()
        source.fail(next: 1_000, with: ApusError(.engineFailure, "no engine, says the test"))
        let fleet = try TestPlan.fleet(try TestPlan.plan(2, tensor: 2), source)
        fleet.start()
        let error = await #expect(throws: ApusError.self) { try await fleet.add(WitnessModel()) }
        #expect(error?.message.contains("says the test") == true)
        await fleet.shutdown()
    }

    @Test("A long queue gets another replica, a short one gives it back, and nothing flaps between")
    func scaling() async throws {
        let limits = try ReplicaScaling.Limits(1...3, growAbove: 0.5, shrinkBelow: 0.05, growAfter: 600_000_000, shrinkAfter: 1_500_000_000)
        let (source, model) = (ScriptedSource(), WitnessModel())
        let fleet = try TestPlan.fleet(try TestPlan.plan(3, replicas: 1, scaling: limits), source)
        fleet.start()
        try await fleet.add(model)
        #expect(model.openDevices == [Self.cpu(0)])
        model.queued(seconds: 2)
        await fleet.serves([[[Self.cpu(0)]], [[Self.cpu(1)]]])
        model.queued(seconds: 0.2)
        try await Task.sleep(for: .seconds(2))
        #expect(model.openDevices.count == 2 && source.started == 2)
        model.queued(seconds: 0)
        await fleet.serves([[[Self.cpu(0)]]])
        #expect(fleet.status().plan?.lastStep?.kind == .scaledDown && fleet.status().capacity == 1)
        while source.shutDown == 0 { try await Task.sleep(for: .milliseconds(2)) }
        #expect(model.openDevices == [Self.cpu(0)] && model.loaded.count == 1)
        await fleet.shutdown()
    }

    @Test("A plan of devices that the fleet has not is refused")
    func strangers() throws {
        let member = FleetPlan.Member(
            ExecutorSettings(device: Self.cpu(0), lanes: 1, engineLibrary: "none"), info: GPUInfo(device: Self.cpu(0), name: "scripted"))
        #expect(throws: ApusError.self) { try FleetPlan([member], parallel: try TestPlan.plan(2, tensor: 2)) }
    }
}
