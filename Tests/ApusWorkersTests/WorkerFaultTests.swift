import ApusErrors
import ApusExecution
import ApusWorkers
import Foundation
import Testing

/// Faults asked for on purpose: the front decides, the worker carries them out.
@Suite(.timeLimit(.minutes(2))) struct WorkerFaultTests {
    /// Hands out a list of faults, and then none.
    private final class Script: FaultInjector, @unchecked Sendable {
        // `rest` is guarded by `lock`.
        private let lock = NSLock()
        private var rest: [StepFault?]

        init(_ faults: [StepFault?]) {
            rest = faults
        }

        func faultForNextStep() -> StepFault? {
            lock.withLock { rest.isEmpty ? nil : rest.removeFirst() }
        }

        var left: Int { lock.withLock { rest.count } }
    }

    private func spawn(_ faults: [StepFault?]) async throws -> WorkerExecutor {
        let script = Script(faults)
        return try await TestWorker.spawn { options in
            options.faults = [script]
            options.firstStepDeadline = .milliseconds(500)
        }
    }

    @Test(arguments: [
        (StepFault.crash, ApusError.Code.workerCrashed, WorkerDeath.crashed(.signal(SIGSEGV))),
        (.sticky, .devicePoisoned, .sticky),
        (.hang, .deviceHung, .hung),
    ])
    func faultsThatEndTheWorkerDoSoAtTheirStep(fault: StepFault, code: ApusError.Code, death: WorkerDeath) async throws {
        let worker = try await spawn([nil, fault])
        let model = try await worker.scripted("double")
        // Beside the lanes, as known answers are: never hit, never counted.
        #expect(try model.run(TestWorker.inputs([2]), output: 0, memory: .kept).float32 == [4])
        #expect(try await worker.step(model).float32 == [2])
        #expect(await worker.failure(model)?.code == code)
        await worker.shutdown()
        #expect(worker.death == death)
    }

    @Test func faultsThatOnlyFailTheirStepLeaveTheWorkerAlone() async throws {
        let worker = try await spawn([.oom, .lost, nil])
        let model = try await worker.scripted("double")
        #expect(await worker.failure(model)?.code == .outOfMemory)
        #expect(await worker.failure(model)?.code == .deviceLost)
        #expect(try await worker.step(model).float32 == [2])
        #expect(worker.death == nil)
        await worker.shutdown()
    }

    @Test(arguments: [(StepFault.throttle, 2), (.slow, 5)])
    func slowStepsTakeAMultipleOfTheirTimeAndAreRight(fault: StepFault, factor: Int) async throws {
        let worker = try await spawn([fault])
        let model = try await worker.scripted("sleep:40")
        let start = ContinuousClock.now
        #expect(try await worker.step(model, TestWorker.inputs([3])).float32 == [3])
        // A step cannot be faster than its sleeps; how much slower it is on a busy machine proves nothing.
        #expect(ContinuousClock.now - start >= .milliseconds(40 * factor))
        await worker.shutdown()
    }
}
