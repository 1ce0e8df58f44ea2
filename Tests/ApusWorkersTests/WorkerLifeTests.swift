import ApusErrors
import ApusExecution
import ApusWorkers
import CApusProcess
import Foundation
import Testing

/// How workers begin and end when nothing is wrong with them, and what they hold.
@Suite(.timeLimit(.minutes(3))) struct WorkerLifeTests {
    @Test func aMissingExecutableIsNamed() async {
        var options = TestWorker.options()
        options.executable = "/nonexistent/apus"
        await #expect { _ = try await WorkerExecutor.spawn(TestWorker.settings(), options: options) } throws: { error in
            let error = error as? ApusError
            return error?.code == .deviceUnavailable && error?.place == "/nonexistent/apus"
                && error?.message.contains("No such file") == true
        }
    }

    @Test func aDeviceThatCannotBeUsedIsReportedInTheWorkersWords() async {
        await #expect { _ = try await WorkerExecutor.spawn(TestWorker.settings(), options: TestWorker.options("refusing")) } throws: { error in
            let error = error as? ApusError
            return error?.code == .engineMissing && error?.message.contains("libcublasLt") == true && error?.place == "/lib/provider.so"
                && error?.advice == "Install CUDA 13"
        }
    }

    @Test(arguments: ["silent", "opening-forever"])
    func aWorkerThatNeverSaysHelloIsHung(kind: String) async {
        let options = TestWorker.options(kind) { $0.spawnDeadline = .milliseconds(300) }
        await #expect { _ = try await WorkerExecutor.spawn(TestWorker.settings(), options: options) } throws: {
            ($0 as? ApusError)?.code == .deviceHung
        }
    }

    @Test(arguments: ["impostor", "no-such-kind"])
    func aProgramThatIsNoWorkerHasCrashed(kind: String) async {
        await #expect { _ = try await WorkerExecutor.spawn(TestWorker.settings(), options: TestWorker.options(kind)) } throws: {
            ($0 as? ApusError)?.code == .workerCrashed
        }
    }

    @Test func shutdownEndsTheProcessOnceAndLaterCallsFail() async throws {
        let deaths = DeathLog()
        let worker = try await TestWorker.spawn { $0.onDeath = deaths.record }
        let model = try await worker.scripted("double")
        await worker.shutdown()
        await worker.shutdown()
        #expect(worker.death == .stopped)
        #expect(await ProcessTable.awaitEnd(worker.pid))
        #expect(await worker.failure(model)?.code == .deviceUnavailable)
        #expect(throws: ApusError.self) { try model.run(TestWorker.inputs([1]), output: 0, memory: .kept) }
        await #expect { _ = try await worker.memory() } throws: { ($0 as? ApusError)?.code == .deviceUnavailable }
        #expect(await deaths.next() == .stopped)
        #expect(await deaths.rest() == [])
    }

    @Test func shutdownDoesNotWaitForAWorkerThatDoesNotListen() async throws {
        let worker = try await TestWorker.spawn { $0.heartbeatDeadline = .seconds(600) }
        kill(worker.pid, SIGSTOP)
        await worker.shutdown()
        #expect(worker.death == .stopped)
        #expect(await ProcessTable.awaitEnd(worker.pid))
    }

    @Test func stepsUnderWayAtShutdownFailAsUnavailable() async throws {
        let worker = try await TestWorker.spawn()
        let model = try await worker.scripted("sleep:600000")
        async let failure = worker.failure(model)
        try await worker.untilBusy(1)
        await worker.shutdown()
        #expect(await failure?.code == .deviceUnavailable)
    }

    @Test func anExecutorWithoutReferencesLeavesNoProcess() async throws {
        let deaths = DeathLog()
        let pid = try await TestWorker.spawn { $0.onDeath = deaths.record }.pid
        #expect(await deaths.next() == .stopped)
        #expect(await ProcessTable.awaitEnd(pid))
    }

    @Test func theWorkerEndsWithItsFrontEvenWhenItsLaneIsBusy() async throws {
        let front = Process()
        front.executableURL = URL(fileURLWithPath: TestWorker.executable)
        front.arguments = ["front"]
        let output = Pipe()
        front.standardOutput = output
        try front.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        let worker = try #require(Int32(line.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(ProcessTable.runs(worker))
        kill(front.processIdentifier, SIGKILL)
        #expect(await ProcessTable.awaitEnd(worker))
        front.waitUntilExit()
    }

    @Test func aWorkerStartedByHandSaysSoAndEnds() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: TestWorker.executable)
        process.arguments = ["scripted"]
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 2)
        #expect(text.contains("not by hand"))
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGPIPE])
    func signalsForTheWholeGroupLeaveTheWorkerToTheFront(signal: Int32) async throws {
        let worker = try await TestWorker.spawn()
        let model = try await worker.scripted("double")
        kill(worker.pid, signal)
        #expect(try await worker.step(model).float32 == [2])
        #expect(worker.death == nil)
        await worker.shutdown()
    }

    #if os(Linux)
        @Test func theWorkerHoldsItsOwnDescriptorsAndNoOther() async throws {
            // Open in this process and, as careless libraries leave them, not marked to be closed.
            let careless = (0..<40).map { _ in open("/dev/zero", O_RDONLY) }
            defer { for descriptor in careless { close(descriptor) } }
            let worker = try await TestWorker.spawn(lanes: 2)
            _ = try await worker.scripted("double")
            let folder = "/proc/\(worker.pid)/fd"
            let held = try FileManager.default.contentsOfDirectory(atPath: folder)
                .compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)") }
            #expect(!held.contains("/dev/zero"))
            #expect(held.contains("/dev/null"))
            // The control channel; a socket and a region for the loader and each lane.
            #expect(held.count { $0.hasPrefix("socket:") } == 4)
            #expect(held.count { $0.contains("apus-tensors") } == 3)
            await worker.shutdown()
        }

        @Test(arguments: [SIGKILL, SIGSEGV])
        func aProcessThatIsNotReapedTellsWhatEndedIt(signal: Int32) async throws {
            var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("600"), nil]
            defer { for argument in arguments { free(argument) } }
            var environment: [UnsafeMutablePointer<CChar>?] = [nil]
            let pid = apus_process_spawn("/bin/sleep", &arguments, &environment, [], 0)
            #expect(pid > 0)
            #expect(ProcessExit.announced(by: pid) == nil)
            kill(pid, signal)
            for _ in 0..<4_000 where ProcessExit.announced(by: pid) == nil { try await Task.sleep(for: .milliseconds(5)) }
            #expect(ProcessExit.announced(by: pid) == .signal(signal))
            var detail: Int32 = 0
            #expect(apus_process_reap(pid, &detail) == ApusProcessSignalled)
            #expect(detail == signal)
        }

        @Test func theWorkerStaysOnItsCores() async throws {
            let worker = try await TestWorker.spawn(cores: [0])
            #expect(try await worker.step(try await worker.scripted("cores")).float32 == [0])
            await worker.shutdown()
            await #expect { _ = try await TestWorker.spawn(cores: [900]) } throws: { ($0 as? ApusError)?.code == .deviceUnavailable }
        }

        @Test func workersLeaveNoDescriptorsAndNoProcessesBehind() async throws {
            func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
            // Other tests of this process open and close descriptors of their own meanwhile: a leak is told by its size.
            let before = try descriptors()
            for round in 0..<200 {
                let worker = try await TestWorker.spawn()
                if round % 2 == 0 { kill(worker.pid, SIGKILL) }
                await worker.shutdown()
                #expect(await ProcessTable.awaitEnd(worker.pid))
            }
            // A worker takes seven.
            for _ in 0..<2_000 where try descriptors() > before + 200 { try await Task.sleep(for: .milliseconds(10)) }
            #expect(try descriptors() <= before + 200)
        }
    #endif
}

extension WorkerExecutor {
    /// Returns once this many calls of lanes are under way.
    func untilBusy(_ count: Int) async throws {
        for _ in 0..<4_000 where lanesUnderWay < count { try await Task.sleep(for: .milliseconds(5)) }
    }
}
