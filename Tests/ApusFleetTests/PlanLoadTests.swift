import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusScheduling
import ApusTensor
import NIOConcurrencyHelpers
import Testing

/// Starts executors that serve, and ends them in the middle of it.
private final class LivingSource: ExecutorSource {
    private struct Running {
        let executor: LivingExecutor
        let tell: @Sendable (WorkerDeath.Cause, String) -> Void
    }

    private let running = NIOLockedValueBox<[Running]>([])

    func executor(
        _ settings: ExecutorSettings, faults: [DeviceID: any FaultInjector],
        onDeath: @escaping @Sendable (WorkerDeath.Cause, String) -> Void
    ) async throws(ApusError) -> any Executor {
        let executor = LivingExecutor(settings) {}
        running.withLockedValue { $0.append(Running(executor: executor, tell: onDeath)) }
        return executor
    }

    func identity(of executor: any Executor) -> ExecutorIdentity? { nil }

    /// Kills what serves on `device`.
    func kill(_ device: DeviceID) {
        guard let latest = running.withLockedValue({ $0.last { $0.executor.device == device } }) else { return }
        latest.executor.die(ApusError(.workerKilled, "killed by the test", place: "\(device)"))
        latest.tell(.killed, "killed by the test")
    }

    /// Has a device of the group that goes by the name of `lead` be lost: the next step says so.
    func lose(_ culprit: DeviceID, of lead: DeviceID) {
        let latest = running.withLockedValue { $0.last { $0.executor.device == lead } }
        latest?.executor.die(ApusError(.deviceLost, "lost by the test", place: "\(culprit)"))
    }
}

@Suite("What clients notice of devices that are lost in the middle of load", .timeLimit(.minutes(2)))
struct PlanLoadTests {
    private struct Form: Sendable, CustomTestStringConvertible {
        var name: String
        var devices: Int
        var tensor: Int?
        var pipeline: Int?
        var replicas: Int?
        var units: [[[DeviceID]]]
        var after: [[[DeviceID]]]

        var testDescription: String { name }
    }

    private static func cpu(_ index: Int) -> DeviceID { TestPlan.cpu(index) }

    private static let forms = [
        Form(name: "data parallel", devices: 2, units: [[[cpu(0)]], [[cpu(1)]]], after: [[[cpu(0)]], [[cpu(1)]]]),
        Form(name: "tensor", devices: 2, tensor: 2, units: [[[cpu(0), cpu(1)]]], after: [[[cpu(0)]]]),
        Form(name: "pipeline", devices: 3, pipeline: 3, units: [[[cpu(0)], [cpu(1)], [cpu(2)]]], after: [[[cpu(0)], [cpu(2)]]]),
        Form(
            name: "hybrid", devices: 4, tensor: 2, pipeline: 2, units: [[[cpu(0), cpu(1)], [cpu(2), cpu(3)]]],
            after: [[[cpu(0)], [cpu(2)]]]),
        Form(
            name: "groups side by side", devices: 4, tensor: 2, replicas: 2, units: [[[cpu(0), cpu(1)]], [[cpu(2), cpu(3)]]],
            after: [[[cpu(0)]], [[cpu(2), cpu(3)]]]),
    ]

    @Test("Every input is answered once and right while workers are killed and devices lost", arguments: forms)
    private func load(form: Form) async throws {
        let source = LivingSource()
        let plan = try TestPlan.plan(form.devices, tensor: form.tensor, pipeline: form.pipeline, replicas: form.replicas)
        let fleet = try TestPlan.fleet(plan, source)
        let model = try ServingModel(observer: fleet)
        fleet.start()
        try await fleet.add(model)
        await fleet.serves(form.units)

        let isOver = NIOLockedValueBox(false)
        let soFar = NIOLockedValueBox(0)
        let answered = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<8 {
                group.addTask {
                    var count = 0
                    while !isOver.withLockedValue({ $0 }) {
                        let base = client * 1_000_000 + count
                        let answers = try await model.scheduler.run(count: 3) { Number(value: base + $0) }
                        let values = try answers.rows.map { try $0.get() }
                        #expect(values == (0..<3).map { 2 * (base + $0) })
                        count += 3
                        soFar.withLockedValue { $0 += 3 }
                    }
                    return count
                }
            }
            for _ in 0..<3 {
                let before = soFar.withLockedValue { $0 }
                source.kill(Self.cpu(0))
                while soFar.withLockedValue({ $0 }) < before + 48 { try await Task.sleep(for: .milliseconds(2)) }
                await fleet.serves(form.units)
            }
            if form.tensor != nil || form.pipeline != nil {
                source.lose(Self.cpu(1), of: Self.cpu(0))
                await fleet.serves(form.after)
                let status = try #require(fleet.status().plan)
                #expect([.oneDevice, .reduced].contains(status.lastStep?.kind) && status.lastStep?.cause == .deviceLost)
                // It is there again, and the plan that was asked for with it.
                await fleet.serves(form.units)
            }
            isOver.withLockedValue { $0 = true }
            return try await group.reduce(0, +)
        }
        #expect(answered >= 3 * 48)
        #expect(fleet.status().plan?.current == fleet.status().plan?.wished)
        await fleet.shutdown()
    }
}
