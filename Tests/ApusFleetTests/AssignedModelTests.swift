import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import Logging
import Testing

@Suite("What models are told of their devices", .timeLimit(.minutes(1)))
struct AssignedModelTests {
    private static let devices = [DeviceID(.cpu, 0), DeviceID(.cpu, 1)]

    /// A fleet of two devices. A second failure in a row keeps a device away for a minute.
    private func fleet(_ source: ScriptedSource, fallback: RecoveryPolicy.Fallback = .fail) throws -> Fleet {
        let policy = try RecoveryPolicy(
            restarts: {
                var restarts = RecoveryPolicy.Restarts()
                restarts.spacing = .milliseconds(1)
                restarts.backoffStart = .seconds(60)
                restarts.backoffMax = .seconds(60)
                return restarts
            }(), fallback: fallback)
        let members = Self.devices.map {
            FleetPlan.Member(ExecutorSettings(device: $0, lanes: 1, engineLibrary: "none"), info: GPUInfo(device: $0, name: "scripted"))
        }
        return Fleet(try FleetPlan(members, policy: policy), source: source, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Ends a device's workers until it stays away.
    private func takeAway(_ device: DeviceID, _ source: ScriptedSource, _ fleet: Fleet) async {
        let isServing = { fleet.status().devices.first { $0.device == device }?.isServing == true }
        source.end(.crashed, on: device)
        while !isServing() { await Task.yield() }
        source.end(.crashed, on: device)
    }

    @Test("The capacity of a model is that of the devices that it has")
    func capacityOfAModel() async throws {
        let source = ScriptedSource()
        let (first, second, both) = (WitnessModel(only: Self.devices[0]), WitnessModel(only: Self.devices[1]), WitnessModel())
        let fleet = try fleet(source)
        fleet.start()
        for model in [first, second, both] { try await fleet.add(model) }
        while both.openDevices.count < 2 { await Task.yield() }
        while [first, second, both].contains(where: { $0.capacities.last != 1 }) { await Task.yield() }
        await takeAway(Self.devices[1], source, fleet)
        while both.capacities.last != 0.5 || second.capacities.last != 0 { await Task.yield() }
        #expect(first.capacities.last == 1)
        await fleet.shutdown()
    }

    @Test("A stand-in counts for a model whose own device is away")
    func capacityOfAStandIn() async throws {
        let (source, model) = (ScriptedSource(), WitnessModel(only: Self.devices[1]))
        let fleet = try fleet(source, fallback: .cpu)
        fleet.start()
        try await fleet.add(model)
        while fleet.status().devices.contains(where: { !$0.isServing }) { await Task.yield() }
        await takeAway(Self.devices[1], source, fleet)
        while model.openDevices != [Self.devices[0]] || model.capacities.last != 1 { await Task.yield() }
        await fleet.shutdown()
    }

    @Test("A model whose only device stays away is refused at once, with the time of the next attempt")
    func refusedAtOnce() async throws {
        let (source, own, other) = (ScriptedSource(), WitnessModel(only: Self.devices[1]), WitnessModel(only: Self.devices[0]))
        let fleet = try fleet(source)
        fleet.start()
        try await fleet.add(own)
        try await fleet.add(other)
        await takeAway(Self.devices[1], source, fleet)
        while own.refusal == nil { await Task.yield() }
        #expect(own.refusal?.code == .noDevice)
        let attempt = try #require(own.refusal?.cause as? NextAttempt)
        #expect((50...60).contains(attempt.seconds()))
        #expect(other.refusal == nil && other.isOpen(on: Self.devices[0]))
        await fleet.shutdown()
    }

    @Test("Seconds to the next attempt are whole, never below 1, and half a minute when an operator is needed")
    func secondsToTheNextAttempt() {
        let now = ContinuousClock.now
        #expect(NextAttempt(at: now + .milliseconds(4_200)).seconds(after: now) == 5)
        #expect(NextAttempt(at: now + .seconds(4)).seconds(after: now) == 4)
        #expect(NextAttempt(at: now - .seconds(4)).seconds(after: now) == 1)
        #expect(NextAttempt(at: nil).seconds(after: now) == 30)
    }
}
