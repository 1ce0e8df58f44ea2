package import ApusErrors
package import ApusExecution
package import ApusTensor

/// Has the failures of a chaos script on an executor of this process. What ends a process is left to worker processes.
package final class FaultingExecutor: Executor {
    /// What has the failures.
    package let executor: any Executor
    private let schedule: ChaosSchedule
    private let clock: any SimulationClock

    /// Throws `invalid_value` when the schedule asks for what only a worker process can have: crash, sticky, hang.
    package init(_ executor: any Executor, _ schedule: ChaosSchedule, clock: any SimulationClock) throws(ApusError) {
        if let fault = StepFault.allCases.first(where: { schedule.faults.contains($0) && $0.needsWorker }) {
            throw ApusError(
                .invalidValue, "\(fault.rawValue) on \(executor.device) needs worker processes", place: "--chaos",
                advice: "Leave --in-process out, or the fault")
        }
        self.executor = executor
        self.schedule = schedule
        self.clock = clock
    }

    package var device: DeviceID { executor.device }
    package var laneCount: Int { executor.laneCount }

    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        try checkPresent()
        return FaultingModel(model: try await executor.load(request), executor: self)
    }

    package func submit(_ work: @escaping @Sendable () -> Void) {
        executor.submit { StepOrigin.$isLane.withValue(true, operation: work) }
    }

    package func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        try await executor.prepare(work)
    }

    package func memory() async throws(ApusError) -> DeviceMemory {
        try checkPresent()
        return try await executor.memory()
    }

    package func groupState() async throws(ApusError) -> GroupState? {
        try checkPresent()
        return try await executor.groupState()
    }

    package func clearCache() async throws(ApusError) {
        try checkPresent()
        try await executor.clearCache()
    }

    package func profile(steps: Int, into directory: String) async throws(ApusError) {
        try checkPresent()
        try await executor.profile(steps: steps, into: directory)
    }

    package func shutdown() async { await executor.shutdown() }

    fileprivate func run<Answer>(_ step: () throws(ApusError) -> Answer) throws(ApusError) -> Answer {
        try checkPresent()
        let fault = StepOrigin.isLane ? schedule.faultForNextStep() : nil
        if let ending = fault?.ending { throw failure(ending) }
        let began = clock.now
        let answer = try step()
        if let slowdown = fault?.slowdown, slowdown > 1 {
            clock.wait((clock.now - began) * (slowdown - 1)) { false }
        }
        return answer
    }

    private func checkPresent() throws(ApusError) {
        if schedule.isLost { throw failure(.lost) }
    }

    private func failure(_ failure: DeviceFailure) -> ApusError {
        ApusError(
            ApusError.Code(rawValue: failure.rawValue), "\(device) failed as the chaos script asks: \(failure.rawValue)", place: "--chaos")
    }
}

private struct FaultingModel: LoadedModel {
    let model: any LoadedModel
    let executor: FaultingExecutor

    var inputs: [ValueDescription] { model.inputs }
    var outputs: [ValueDescription] { model.outputs }
    var assignment: NodeAssignment { model.assignment }
    var buffers: SharedBuffers { model.buffers }

    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        try executor.run { () throws(ApusError) in try model.run(inputs, output: output, memory: memory) }
    }

    func run(_ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory) throws(ApusError) -> [HostTensor] {
        try executor.run { () throws(ApusError) in try model.run(inputs, outputs: outputs, memory: memory) }
    }
}
