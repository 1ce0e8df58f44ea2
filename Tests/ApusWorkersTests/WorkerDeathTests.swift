import ApusErrors
import ApusExecution
import ApusWorkers
import Foundation
import Testing

/// Workers that end when nobody asked them to: how that is told, to whom, and how soon.
@Suite(.timeLimit(.minutes(3))) struct WorkerDeathTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var model: String
        var death: WorkerDeath
        var code: ApusError.Code
        var testDescription: String { model }

        init(_ model: String, _ death: WorkerDeath, _ code: ApusError.Code) {
            (self.model, self.death, self.code) = (model, death, code)
        }
    }

    static let cases = [
        Case("raise:\(SIGSEGV)", .crashed(.signal(SIGSEGV)), .workerCrashed),
        Case("raise:\(SIGABRT)", .crashed(.signal(SIGABRT)), .workerCrashed),
        Case("raise:\(SIGKILL)", .killed(signal: SIGKILL), .workerKilled),
        Case("exit:0", .crashed(.exit(0)), .workerCrashed),
        Case("exit:5", .crashed(.exit(5)), .workerCrashed),
        Case("exit:\(WorkerExit.sticky)", .sticky, .devicePoisoned),
        Case("poison:700", .sticky, .devicePoisoned),
        Case("poison:719", .sticky, .devicePoisoned),
    ]

    @Test(arguments: cases)
    func theStepsUnderWayLearnHowTheWorkerEnded(ended: Case) async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn(lanes: 2) { $0.onDeath = deaths.record }
        let (model, other) = (try await worker.scripted(ended.model), try await worker.scripted("sleep:600000"))
        async let bystander = worker.failure(other)
        try await worker.untilBusy(1)
        let culprit = await worker.failure(model)
        #expect(culprit?.code == ended.code)
        #expect(await bystander?.code == ended.code)
        #expect(await deaths.next() == ended.death)
        #expect(worker.death == ended.death)
        #expect(await worker.failure(model)?.code == .deviceUnavailable)
        #expect(await ProcessTable.awaitEnd(worker.pid))
        await worker.shutdown()
        #expect(await deaths.rest() == [])
    }

    @Test func aTrapIsACrash() async throws {
        let worker = try await TestWorker.spawn()
        #expect(await worker.failure(try await worker.scripted("trap:9"))?.code == .workerCrashed)
        guard case .crashed(.signal) = worker.death else {
            Issue.record("\(String(describing: worker.death))")
            return
        }
    }

    @Test func anErrorThatIsNotStickyLeavesTheWorkerAlone() async throws {
        let worker = try await TestWorker.spawn()
        #expect(await worker.failure(try await worker.scripted("poison:2"))?.code == .engineFailure)
        #expect(try await worker.step(try await worker.scripted("double")).float32 == [2])
        await worker.shutdown()
    }

    @Test func aLoadThatPoisonsTheDeviceEndsTheWorker() async throws {
        let worker = try await TestWorker.spawn()
        await #expect { _ = try await worker.scripted("load-poisons") } throws: { error in
            let error = error as? ApusError
            return error?.code == .devicePoisoned && error?.message.contains("illegal memory access") == true
        }
        await worker.shutdown()
        #expect(worker.death == .sticky)
    }

    @Test func anIdleWorkersDeathIsNoticedWithoutACall() async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn { options in
            options.heartbeatInterval = .seconds(600)
            options.onDeath = deaths.record
        }
        kill(worker.pid, SIGKILL)
        #expect(await deaths.next() == .killed(signal: SIGKILL))
    }

    @Test func aStoppedIdleWorkerIsFoundByItsHeartbeat() async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn { options in
            options.heartbeatInterval = .milliseconds(20)
            options.heartbeatDeadline = .milliseconds(300)
            options.onDeath = deaths.record
        }
        kill(worker.pid, SIGSTOP)
        #expect(await deaths.next() == .hung)
        #expect(await ProcessTable.awaitEnd(worker.pid))
    }

    @Test func aStoppedBusyWorkerIsFoundAndNoStepIsToBlame() async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn(lanes: 2) { options in
            options.heartbeatInterval = .milliseconds(20)
            options.heartbeatDeadline = .milliseconds(300)
            options.onDeath = deaths.record
        }
        let model = try await worker.scripted("sleep:600000")
        async let first = worker.failure(model)
        async let second = worker.failure(model)
        try await worker.untilBusy(2)
        kill(worker.pid, SIGSTOP)
        #expect(await deaths.next() == .hung)
        #expect(await first?.code == .workerKilled)
        #expect(await second?.code == .workerKilled)
    }

    @Test func onlyTheStepThatHangsIsToBlame() async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn(lanes: 2) { options in
            options.firstStepDeadline = .seconds(1)
            options.onDeath = deaths.record
        }
        let slow = try await worker.scripted("sleep:50")
        let hanging = try await worker.scripted("sleep:600000")
        async let culprit = worker.failure(hanging)
        async let bystander = Self.lastFailure(of: slow, on: worker)
        #expect(await culprit?.code == .deviceHung)
        #expect([.workerKilled, .deviceUnavailable].contains(await bystander?.code))
        #expect(await deaths.next() == .hung)
    }

    /// Runs steps until one fails.
    private static func lastFailure(of model: any LoadedModel, on worker: WorkerExecutor) async -> ApusError? {
        for _ in 0..<10_000 {
            if let error = await worker.failure(model) { return error }
        }
        return nil
    }

    @Test func aLoadThatHangsIsEnded() async throws {
        let worker = try await TestWorker.spawn { $0.loadDeadline = .milliseconds(200) }
        await #expect { _ = try await worker.scripted("load-hangs") } throws: { ($0 as? ApusError)?.code == .deviceHung }
        #expect(worker.death == .hung)
    }

    @Test(arguments: 0..<12)
    func aBrokenFrameEndsTheWorkerAsACrash(scribble: Int) async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn { $0.onDeath = deaths.record }
        let model = try await worker.scripted("scribble:\(scribble)")
        #expect(await worker.failure(model)?.code == .workerCrashed)
        guard case .crashed = await deaths.next() else {
            Issue.record("\(String(describing: worker.death))")
            return
        }
        #expect(await ProcessTable.awaitEnd(worker.pid))
    }
}
