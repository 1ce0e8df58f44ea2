package import ApusErrors
package import ApusExecution
package import ApusTensor
import Foundation

/// A device without an engine: scripted outputs, scripted time and scripted failures.
///
/// Stands for a device together with its worker process: after a crash, a sticky error, a hang or a kill, what was running fails with
/// that cause and everything later with `device_unavailable`. A restart is a new executor.
package final class SimulatedExecutor: Executor, @unchecked Sendable {
    package let device: DeviceID
    package let laneCount: Int
    private let script: SimulatedScript
    private let clock: any SimulationClock
    private let faults: (any FaultInjector)?
    private let died: @Sendable (DeviceFailure) -> Void
    private let lanes: LaneThreads
    private let loader: LaneThreads
    // Guarded by `lock`.
    private let lock = NSLock()
    private var cause: DeviceFailure?
    private var started = 0

    /// - Parameters:
    ///   - faults: asked for every step on a lane and never for steps in ``prepare(_:)``.
    ///   - died: called once, on the thread that found out, when the simulated worker has ended.
    package init(
        device: DeviceID, lanes: Int = 1, _ script: SimulatedScript, clock: any SimulationClock, faults: (any FaultInjector)? = nil,
        died: @escaping @Sendable (DeviceFailure) -> Void = { _ in }
    ) {
        self.device = device
        laneCount = max(1, lanes)
        self.script = script
        self.clock = clock
        self.faults = faults
        self.died = died
        self.lanes = LaneThreads(count: laneCount, name: "sim-\(device)")
        loader = LaneThreads(count: 1, name: "sim-load-\(device)")
    }

    /// How the simulated worker ended; nil while it lives.
    package var death: DeviceFailure? { lock.withLock { cause } }
    /// Steps that began, known answers included.
    package var stepCount: Int { lock.withLock { started } }

    /// Ends the simulated worker as somebody outside would.
    package func kill() { die(.killed) }

    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        try await prepare { () throws(ApusError) in
            self.clock.wait(self.script.loadTime) { self.death != nil }
            try self.checkAlive()
            return SimulatedModel(executor: self, script: self.script)
        }
    }

    package func submit(_ work: @escaping @Sendable () -> Void) {
        lanes.submit { StepOrigin.$isLane.withValue(true, operation: work) }
    }

    package func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard !Task.isCancelled else { throw ApusError(.cancelled, "work beside the lanes was called off") }
        let result = await withCheckedContinuation { continuation in
            loader.submit { continuation.resume(returning: Result { () throws(ApusError) in try work() }) }
        }
        return try result.get()
    }

    package func memory() async throws(ApusError) -> DeviceMemory {
        try checkAlive()
        return script.memory
    }

    package func clearCache() async throws(ApusError) { try checkAlive() }

    package func shutdown() async { die(.unavailable) }

    func step(_ inputs: [String: HostTensor], output: Int) throws(ApusError) -> HostTensor {
        try checkAlive()
        lock.withLock { started += 1 }
        let poison = script.poison(inputs)
        var fault = StepOrigin.isLane ? faults?.faultForNextStep() : nil
        if case .fault(let poisoned)? = poison { fault = poisoned }
        let time = fault == .hang ? script.hangDetection : script.cost.nanoseconds(inputs, times: fault?.slowdown ?? 1)
        clock.wait(time) { self.death != nil }
        if let death { throw failure(death) }
        if let ending = fault?.ending {
            if ending.endsWorker { die(ending) }
            throw failure(ending)
        }
        if poison == .fails { throw ApusError(.engineFailure, "\(device) refused the step as it was told to") }
        return try script.compute(inputs, output).get()
    }

    private func checkAlive() throws(ApusError) {
        guard let death else { return }
        guard death != .lost else { throw failure(.lost) }
        throw ApusError(.deviceUnavailable, "\(device) has no worker: the last one ended with \(death.rawValue)")
    }

    private func die(_ failure: DeviceFailure) {
        let isNews = lock.withLock {
            guard cause == nil else { return false }
            cause = failure
            return true
        }
        guard isNews else { return }
        clock.wake()
        if failure != .unavailable { died(failure) }
    }

    private func failure(_ failure: DeviceFailure) -> ApusError {
        ApusError(ApusError.Code(rawValue: failure.rawValue), "\(device) failed as it was told to: \(failure.rawValue)")
    }
}

extension StepFault {
    /// How many times its usual time the step takes.
    var slowdown: Int {
        switch self {
        case .throttle: 2
        case .slow: 5
        case .oom, .sticky, .hang, .crash, .lost: 1
        }
    }

    /// How the step ends; nil for well.
    var ending: DeviceFailure? {
        switch self {
        case .oom: .outOfMemory
        case .sticky: .sticky
        case .hang: .hung
        case .crash: .crashed
        case .lost: .lost
        case .throttle, .slow: nil
        }
    }

    /// Whether only a process of its own can have this failure.
    var needsWorker: Bool {
        switch self {
        case .sticky, .hang, .crash: true
        case .oom, .lost, .throttle, .slow: false
        }
    }
}

extension DeviceFailure {
    fileprivate var endsWorker: Bool {
        switch self {
        case .sticky, .hung, .crashed, .killed, .lost, .unavailable: true
        case .outOfMemory, .engine: false
        }
    }
}

private struct SimulatedModel: LoadedModel {
    let executor: SimulatedExecutor
    let script: SimulatedScript

    var inputs: [ValueDescription] { script.inputs }
    var outputs: [ValueDescription] { script.outputs }
    var assignment: NodeAssignment { NodeAssignment() }

    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        try executor.step(inputs, output: output)
    }
}
