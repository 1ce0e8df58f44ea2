import ApusErrors
import ApusExecution
import ApusGraph
import ApusORT
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// Memory, end and threads of an executor.
@Suite struct ExecutorLifeTests {
    @Test func clearingTheCacheGivesMemoryBackAndLeavesTheModelsAlone() async throws {
        let executor = try SyntheticGraph.executor()
        let model = try await executor.load(SyntheticGraph.request())
        _ = try model.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept)
        let small = try await executor.memory()
        // 2^15 rows of 256 floats are 32 MiB.
        let large = SyntheticGraph.input(rows: 1 << 15, value: 3)
        #expect(try model.run(["x": large], output: 0, memory: .kept) == large)
        let grown = try await executor.memory()
        #expect(grown.reservedBytes >= small.reservedBytes + 32 << 20)
        #expect(grown.maxAllocatedBytes >= 32 << 20 && grown.allocatedBytes < 32 << 20)
        try await executor.clearCache()
        let cleared = try await executor.memory()
        #expect(cleared.reservedBytes <= small.reservedBytes + 1 << 20)
        #expect(cleared.maxAllocatedBytes == grown.maxAllocatedBytes)
        #expect(try model.run(["x": large], output: 0, memory: .released) == large)
        #expect(try await executor.memory().reservedBytes <= small.reservedBytes + 1 << 20)
    }

    @Test func memoryIsThatOfTheModelsHeldNow() async throws {
        let executor = try SyntheticGraph.executor(memoryLimitBytes: 5 << 30)
        var model: (any LoadedModel)? = try await executor.load(SyntheticGraph.request())
        _ = try model?.run(["x": SyntheticGraph.input(rows: 1 << 12)], output: 0, memory: .kept)
        let held = try await executor.memory()
        #expect(held.reservedBytes > 4 << 20 && held.totalBytes == 5 << 30)
        #expect(held.utilizationPercent >= 0 && held.utilizationPercent < 1)
        model = nil
        let empty = try await executor.memory()
        #expect(empty.allocatedBytes == 0 && empty.reservedBytes == 0)
        #expect(empty.maxAllocatedBytes == held.maxAllocatedBytes)
    }

    private static let tiny = TinyCheckpoint.fixtures.appendingPathComponent("bert-mean").path

    @Test func weightsInMemoryOfApusOwnAreCounted() async throws {
        let executor = try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: TestEngine.library), graphs: CheckpointGraphs())
        func request(_ form: NetworkForm) -> LoadRequest {
            LoadRequest(name: "tiny", source: .checkpoint(directory: Self.tiny, .network(form)))
        }
        var model: (any LoadedModel)? = try await executor.load(request(.kernelsFP32))
        let resident = try CheckpointGraphs().graph(directory: Self.tiny, .network(.kernelsFP32)).graph.residentBytes
        let memory = try await executor.memory()
        #expect(model != nil && resident > 0)
        #expect(memory.allocatedBytes >= resident && memory.reservedBytes >= resident && memory.maxAllocatedBytes >= resident)
        model = nil
        #expect(try await executor.memory().allocatedBytes == 0)
        // What is read where it lies, in a mapped file, is none of it, and counted beside it.
        let mapped = try CheckpointGraphs().graph(directory: Self.tiny, .network(.fusedFP32)).graph
        #expect(mapped.residentBytes == 0)
        let (weights, other) = (mapped.weights, try await executor.load(request(.fusedFP32)))
        let told = try await executor.memory()
        #expect(told.weights == weights && weights.mapped > 0 && weights.layers > weights.mapped / 2 && weights.embedding >= weights.mapped)
        #expect(told.allocatedBytes >= weights.mapped && !other.outputs.isEmpty)
    }

    @Test func storageOfOutputsIsUsedAgainOnceItWasGivenBack() async throws {
        let executor = try SyntheticGraph.executor()
        let model = try await executor.load(SyntheticGraph.request())
        let input = SyntheticGraph.input(rows: 64, value: 2)
        for step in 0..<4 {
            let output = try model.run(["x": input], output: 0, memory: .kept)
            #expect(output == input)
            let use = try await executor.memory().buffers
            #expect(use.misses == 1 && use.hits == step)
            model.buffers.recycle(output)
        }
        let held = try await executor.memory()
        #expect(held.buffers.heldBytes == input.byteCount && held.reservedBytes >= input.byteCount)
        try await executor.clearCache()
        #expect(try await executor.memory().buffers == BufferUse(hits: 3, misses: 1, trimmedBytes: input.byteCount))
    }

    @Test func withoutALimitTheTotalIsWhatTheHostAllows() async throws {
        let total = try await SyntheticGraph.executor().memory().totalBytes
        #expect(total == HostMemory.current.bytes && total > 64 << 20)
    }

    @Test func theSmallestControlGroupLimitCounts() {
        func limit(_ files: [String: String]) -> Int { HostMemory(physical: 1000) { files[$0] }.bytes }
        #expect(limit([:]) == 1000)
        let v2 = ["/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "300\n"]
        #expect(limit(v2) == 300)
        #expect(limit(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "200\n"]) == 200)
        let v1 = [
            "/proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/c\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/docker/c/memory.limit_in_bytes": "400\n",
        ]
        #expect(limit(v1) == 400)
        #expect(limit(["/proc/self/cgroup": "nonsense\n0::/", "/sys/fs/cgroup/memory.max": "many"]) == 1000)
    }

    @Test func runsUnderWayDoNotNoticeThatTheCacheIsCleared() async throws {
        let executor = try SyntheticGraph.executor(lanes: 2)
        let model = try await executor.load(SyntheticGraph.request())
        let wrong = Tally()
        let runs = 24
        await withTaskGroup(of: Void.self) { group in
            for run in 0..<runs {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit {
                            let input = SyntheticGraph.input(rows: 256 << (run % 4), value: Float(run))
                            let output = try? model.run(["x": input], output: 0, memory: run % 5 == 0 ? .released : .kept)
                            if output != input { wrong.add() }
                            continuation.resume()
                        }
                    }
                }
            }
            for _ in 0..<8 { group.addTask { try? await executor.clearCache() } }
        }
        #expect(wrong.count == 0)
    }

    @Test func afterShutdownEverythingFailsAtOnceAndNothingHangs() async throws {
        let executor = try SyntheticGraph.executor(DeviceID(.sim, 3), lanes: 2)
        let model = try await executor.load(SyntheticGraph.request())
        await executor.shutdown()
        func isUnavailable(_ error: any Error) -> Bool { (error as? ApusError)?.deviceFailure == .unavailable }
        await #expect { try await executor.load(SyntheticGraph.request()) } throws: { isUnavailable($0) }
        await #expect { try await executor.memory() } throws: { isUnavailable($0) }
        await #expect { try await executor.clearCache() } throws: { isUnavailable($0) }
        await #expect { try await executor.profile(steps: 1, into: "/tmp") } throws: { isUnavailable($0) }
        #expect { try model.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept) } throws: { isUnavailable($0) }
        let submitted: Bool = await withCheckedContinuation { continuation in
            executor.submit { continuation.resume(returning: true) }
        }
        #expect(submitted)
        await executor.shutdown()
    }

    /// Lies in a thread's own storage and counts down when that goes, which is when the thread ends.
    private final class ThreadMark: Sendable {
        private let alive: Tally

        init(_ alive: Tally) {
            self.alive = alive
            alive.add()
        }

        deinit { alive.add(-1) }
    }

    /// Marks each of the executor's lanes and returns how many of the marked threads live.
    private func mark(_ executor: InProcessExecutor) async -> Tally {
        let (alive, arrived) = (Tally(), Tally())
        let lanes = executor.laneCount
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<lanes {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit {
                            Thread.current.threadDictionary["mark"] = ThreadMark(alive)
                            arrived.add()
                            // No lane takes a second mark while another has none.
                            while arrived.count < lanes { Thread.sleep(forTimeInterval: 0.001) }
                            continuation.resume()
                        }
                    }
                }
            }
        }
        return alive
    }

    private func ended(_ alive: Tally) async throws -> Bool {
        for _ in 0..<1000 where alive.count > 0 { try await Task.sleep(for: .milliseconds(10)) }
        return alive.count == 0
    }

    @Test func theThreadsOfAnExecutorEndWithIt() async throws {
        var executor: InProcessExecutor? = try SyntheticGraph.executor(lanes: 3)
        let model = try await executor?.load(SyntheticGraph.request())
        let alive = await mark(try #require(executor))
        #expect(alive.count == 3)
        executor = nil
        #expect(try await ended(alive))
        // A model outlives the executor that loaded it.
        #expect(try model?.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept) == SyntheticGraph.input(rows: 1))

        let other = try SyntheticGraph.executor(lanes: 2)
        let others = await mark(other)
        #expect(others.count == 2)
        await other.shutdown()
        #expect(try await ended(others))
    }

    @Test func aSessionsThreadRunsOneThingAtATimeAndAlwaysItself() async throws {
        let thread = SessionThread(name: "apus-test")
        let (busy, overlaps, strangers) = (Tally(), Tally(), Tally())
        let home = try thread.perform { () throws(ApusError) in ObjectIdentifier(Thread.current) }
        await withTaskGroup(of: Void.self) { group in
            for caller in 0..<4 {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        Thread.detachNewThread {
                            for turn in 0..<50 {
                                let sum = try? thread.perform { () throws(ApusError) -> Int in
                                    if busy.add() != 1 { overlaps.add() }
                                    if ObjectIdentifier(Thread.current) != home { strangers.add() }
                                    busy.add(-1)
                                    return caller + turn
                                }
                                if sum != caller + turn { overlaps.add() }
                            }
                            continuation.resume()
                        }
                    }
                }
            }
        }
        #expect(overlaps.count == 0)
        #expect(strangers.count == 0)
        #expect { try thread.perform { () throws(ApusError) -> Int in throw ApusError(.wrongAnswer, "no") } } throws: {
            ($0 as? ApusError)?.code == .wrongAnswer
        }
    }
}
