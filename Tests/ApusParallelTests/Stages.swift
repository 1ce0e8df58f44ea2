import ApusErrors
import ApusExecution
import ApusParallel
import ApusSimulation
import ApusTensor
import CApusCollectives
import Foundation

/// Simulated devices in groups. Stage s turns the numbers it gets into 10 times themselves plus s + 1, so that the answer tells the way.
enum Stages {
    static let millisecond = 1_000_000

    static func script(_ stage: Int, of count: Int, cost: Int = millisecond, change: (inout SimulatedScript) -> Void = { _ in }) -> SimulatedScript {
        let (from, to) = (stage == 0 ? "x" : "hidden", stage == count - 1 ? "y" : "hidden_out")
        var script = SimulatedScript(
            inputs: [ValueDescription(from, .float32, [.symbolic("N")]), ValueDescription("rows", .int32, [.symbolic("N")])],
            outputs: [ValueDescription(to, .float32, [.symbolic("N")])]
        ) { inputs, _ in
            guard let x = inputs[from]?.float32, inputs["rows"] != nil else { return .failure(ApusError(.engineFailure, "\(from) is missing")) }
            return .success(HostTensor([x.count], .float32(x.map { 10 * $0 + Float(stage + 1) })))
        }
        script.cost = .init(fixed: cost)
        change(&script)
        return script
    }

    /// A pipeline of one device for each of these costs.
    static func pipeline(
        _ costs: [Int], clock: any SimulationClock, first: Int = 0, lanes: Int? = nil, faults: [Int: any FaultInjector] = [:],
        onFailure: @escaping @Sendable (GroupFailure) -> Void = { _ in }
    ) throws -> GroupExecutor {
        let members = costs.enumerated().map { stage, cost -> [any Executor] in
            [
                SimulatedExecutor(
                    device: DeviceID(.sim, first + stage), script(stage, of: costs.count, cost: cost), clock: clock, faults: faults[stage])
            ]
        }
        return try GroupExecutor(members, options: GroupOptions(lanes: lanes, now: { clock.now }, onFailure: onFailure))
    }

    static func request(_ stages: Int) -> LoadRequest {
        LoadRequest(
            name: "scripted", source: .checkpoint(directory: "", .network(.plainFP32)), stages: (0..<stages).map { $0..<($0 + 1) })
    }

    static func inputs(_ values: [Float]) -> [String: HostTensor] {
        ["x": HostTensor([values.count], .float32(values)), "rows": HostTensor([1], .int32([0]))]
    }

    /// What `stages` stages make of a number.
    static func answer(_ value: Float, stages: Int) -> Float {
        (0..<stages).reduce(value) { 10 * $0 + Float($1 + 1) }
    }

    /// One stage whose ranks add up their numbers, each its own plus `rank`, in a communicator.
    static func summing(
        _ ranks: Int, clock: any SimulationClock, timeout: Duration = .seconds(60), faults: [Int: any FaultInjector] = [:],
        onFailure: @escaping @Sendable (GroupFailure) -> Void = { _ in }
    ) throws -> GroupExecutor {
        let members = (0..<ranks).map { rank -> any Executor in
            let script = script(0, of: 1) { script in
                script.compute = { inputs, _ in
                    guard let x = inputs["x"]?.float32 else { return .failure(ApusError(.engineFailure, "x is missing")) }
                    return sum(x.map { $0 + Float(rank) })
                }
            }
            return SimulatedExecutor(device: DeviceID(.sim, rank), script, clock: clock, faults: faults[rank])
        }
        return try GroupExecutor([members], options: GroupOptions(sumTimeout: timeout, now: { clock.now }, onFailure: onFailure))
    }

    /// As the operator AllReduce does.
    private static func sum(_ x: [Float]) -> Result<HostTensor, ApusError> {
        var rank: Int32 = 0
        guard let communicator = apus_thread_communicator(&rank) else {
            return .failure(ApusError(.engineFailure, "there is nobody to add up with"))
        }
        var y = x
        guard apus_communicator_sum(communicator, rank, x, &y, x.count) == APUS_SUM_OK else {
            return .failure(ApusError(.engineFailure, "the sum was called off"))
        }
        return .success(HostTensor([y.count], .float32(y)))
    }
}

extension Executor {
    /// Runs one step on a lane.
    func runOnLane(_ model: any LoadedModel, _ values: [Float]) async -> Result<HostTensor, ApusError> {
        await withCheckedContinuation { continuation in
            submit {
                continuation.resume(
                    returning: Result { () throws(ApusError) in
                        try model.run(Stages.inputs(values), output: 0, memory: .kept)
                    })
            }
        }
    }
}

extension Result<HostTensor, ApusError> {
    var values: [Float]? { (try? get())?.float32 }
    var failure: ApusError? { if case .failure(let error) = self { error } else { nil } }
}

/// Fails the steps with these numbers, from 1.
final class Faults: FaultInjector, @unchecked Sendable {
    // Guarded by `lock`.
    private let lock = NSLock()
    private let faults: [Int: StepFault]
    private var steps = 0

    init(_ faults: [Int: StepFault]) { self.faults = faults }

    func faultForNextStep() -> StepFault? {
        lock.withLock {
            steps += 1
            return faults[steps]
        }
    }
}

/// Does what blocks on a thread that is not one of Swift's cooperative pool.
func onThread(_ work: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            work()
            continuation.resume()
        }
    }
}
