import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Foundation
import Testing

/// What crosses the boundary, both ways, while all is well.
@Suite(.timeLimit(.minutes(2))) struct WorkerCallTests {
    @Test func aWorkerSaysWhoItIs() async throws {
        let worker = try await TestWorker.spawn(lanes: 2)
        #expect(worker.engineVersion == "scripted 1.0")
        #expect(worker.device.description == "sim:3")
        #expect(worker.laneCount == 2)
        #expect(ProcessTable.runs(worker.pid))
        #expect(worker.death == nil)
        await worker.shutdown()
    }

    @Test func aModelIsDescribedAsTheWorkerHasIt() async throws {
        let worker = try await TestWorker.spawn()
        let model = try await worker.scripted("double")
        #expect(model.inputs.map(\.name) == ["x", "ids"])
        #expect(model.inputs.map(\.elementType) == [.float32, .int64])
        #expect(model.outputs[1].shape == [.symbolic("rows"), .symbolic("n")])
        #expect(model.assignment.shares == [.init(provider: "ScriptedProvider", nodes: 3, operators: ["Add", "MatMul"])])
        await worker.shutdown()
    }

    @Test func stepsGetTheirOwnAnswersWhenLanesRunAtTheSameTime() async throws {
        let worker = try await TestWorker.spawn(lanes: 3)
        let model = try await worker.scripted("double")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let x = (0...(number % 17)).map { Float(number * 100 + $0) }
                    let y = try await worker.step(model, TestWorker.inputs(x))
                    #expect(y.float32 == x.map { 2 * $0 })
                    #expect(y.shape == [x.count])
                }
            }
            try await group.waitForAll()
        }
        #expect(worker.busyNanoseconds.count == 3)
        #expect(worker.busyNanoseconds.reduce(0, +) > 0)
        await worker.shutdown()
    }

    @Test func everyElementTypeAndShapeComesBackAsItWent() async throws {
        let worker = try await TestWorker.spawn()
        let model = try await worker.scripted("double")
        for ids in [TestWorker.noIDs, HostTensor([2, 3], .int64([1, -2, .max, .min, 0, 7])), HostTensor([], .int64([5]))] {
            #expect(try await worker.step(model, TestWorker.inputs([1], ids: ids), output: 1) == ids)
        }
        #expect(try await worker.step(model, TestWorker.inputs([])).float32 == [])
        let special: [Float] = [.infinity, -.infinity, -0.0, .leastNonzeroMagnitude]
        #expect(try await worker.step(model, TestWorker.inputs(special)).float32?.map(\.bitPattern) == special.map { (2 * $0).bitPattern })
        await worker.shutdown()
    }

    @Test(arguments: [WorkingMemory.kept, .released])
    func tensorsLargerThanTheRegionMakeItGrow(memory: WorkingMemory) async throws {
        let worker = try await TestWorker.spawn()
        for count in [100_000, 3_000_000, 1, 5_000_000] {
            let grow = try await worker.scripted("grow:\(count)")
            let y = try await worker.step(grow, memory: memory).float32 ?? []
            #expect(y.count == count)
            #expect(y.enumerated().allSatisfy { $0.element == Float($0.offset % 1_000) })
        }
        let double = try await worker.scripted("double")
        let x = (0..<4_000_000).map { Float($0 % 4_099) }
        #expect(try await worker.step(double, TestWorker.inputs(x), memory: memory).float32 == x.map { 2 * $0 })
        await worker.shutdown()
    }

    @Test func tensorsBeyondTheLimitAreOutOfMemoryOnEitherSideAndTheWorkerGoesOn() async throws {
        let worker = try await TestWorker.spawn { $0.regionLimit = 1 << 20 }
        let (double, grow) = (try await worker.scripted("double"), try await worker.scripted("grow:300000"))
        #expect(await worker.failure(double, TestWorker.inputs([Float](repeating: 1, count: 300_000)))?.code == .outOfMemory)
        #expect(await worker.failure(grow)?.code == .outOfMemory)
        #expect(try await worker.step(double).float32 == [2])
        await worker.shutdown()
    }

    @Test func errorsCrossWithCodeMessagePlaceAdviceAndCause() async throws {
        let worker = try await TestWorker.spawn()
        let error = try #require(await worker.failure(try await worker.scripted("fail:77")))
        #expect(error.code == .outOfMemory)
        #expect(error.message == "Failed to allocate 77 bytes")
        #expect(error.place == "node MatMul_3")
        #expect(error.advice == "Lower the batch token budget")
        #expect(error.cause.map { "\($0)" } == "CUDA failure 2: out of memory")
        await #expect { _ = try await worker.scripted("load-fails") } throws: { error in
            let error = error as? ApusError
            return error?.code == .invalidCheckpoint && error?.place == "model.safetensors" && error?.advice == "Fetch it again"
        }
        #expect(worker.death == nil)
        await worker.shutdown()
    }

    @Test func stepsThatCannotBeSentAreRefusedAndTheWorkerGoesOn() async throws {
        let worker = try await TestWorker.spawn()
        let model = try await worker.scripted("double")
        #expect(await worker.failure(model, ["x": HostTensor([1], .float32([1]))])?.message == "input 'ids' is missing")
        #expect(await worker.failure(model, ["x": HostTensor([2], .float32([1])), "ids": TestWorker.noIDs])?.code == .engineFailure)
        #expect(await worker.failure(model, ["x": HostTensor([-1], .float32([1])), "ids": TestWorker.noIDs])?.code == .engineFailure)
        let deep = HostTensor([Int](repeating: 1, count: 17), .float32([1]))
        #expect(await worker.failure(model, ["x": deep, "ids": TestWorker.noIDs])?.code == .engineFailure)
        #expect(throws: ApusError.self) { try model.run(TestWorker.inputs([1]), output: 2, memory: .kept) }
        #expect(try await worker.step(model).float32 == [2])
        await worker.shutdown()
    }

    @Test func anyThreadMayRunAStepBesideTheLanes() async throws {
        let worker = try await TestWorker.spawn()
        let (model, slow) = (try await worker.scripted("double"), try await worker.scripted("sleep:200"))
        async let onLane = worker.step(slow)
        let beside = try await worker.prepare { () throws(ApusError) in try model.run(TestWorker.inputs([4]), output: 0, memory: .kept) }
        #expect(beside.float32 == [8])
        #expect(try model.run(TestWorker.inputs([5]), output: 0, memory: .kept).float32 == [10])
        #expect(try await onLane.float32 == [1])
        await worker.shutdown()
    }

    @Test func memoryAndItsClearingAreTheWorkers() async throws {
        let worker = try await TestWorker.spawn()
        let memory = DeviceMemory(
            allocatedBytes: 11, reservedBytes: 22, maxAllocatedBytes: 33, totalBytes: 44,
            buffers: BufferUse(hits: 55, misses: 66, heldBytes: 77, trimmedBytes: 88),
            weights: WeightBytes(layers: 3, embedding: 5, head: 7, mapped: 2))
        #expect(try await worker.memory() == memory)
        try await worker.clearCache()
        #expect(try await worker.memory().totalBytes == 45)
        await worker.shutdown()
    }

    @Test func aModelWithoutReferencesIsGivenUpInTheWorker() async throws {
        let worker = try await TestWorker.spawn()
        let count = try await worker.scripted("unloaded")
        #expect(try await worker.step(count).float32 == [0])
        for _ in 0..<3 { _ = try await worker.scripted("double") }
        // The worker lets go on a thread of its own, in its own time.
        for _ in 0..<1_000 where try await worker.step(count).float32 != [3] { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try await worker.step(count).float32 == [3])
        await worker.shutdown()
    }

    @Test func heartbeatsTellWhatTheLanesHaveDone() async throws {
        let worker = try await TestWorker.spawn(lanes: 2) { $0.heartbeatInterval = .milliseconds(10) }
        let model = try await worker.scripted("double")
        for _ in 0..<5 { _ = try await worker.step(model) }
        for _ in 0..<1_000 where worker.laneProgress.reduce(0, +) < 5 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(worker.laneProgress.count == 2)
        #expect(worker.laneProgress.reduce(0, +) == 5)
        #expect(worker.sinceHeartbeat < .seconds(2))
        await worker.shutdown()
    }

    @Test func loadingIsCalledOffOnlyBeforeItStarts() async throws {
        let worker = try await TestWorker.spawn()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await worker.scripted("double")
        }
        await #expect { try await task.value } throws: { ($0 as? ApusError)?.code == .cancelled }
        await worker.shutdown()
    }
}
