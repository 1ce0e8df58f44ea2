import ApusErrors
import ApusExecution
import ApusParallel
import ApusSimulation
import ApusTensor
import NIOConcurrencyHelpers
import Testing

@Suite("A group of stages", .serialized, .timeLimit(.minutes(2))) struct PipelineTests {
    private let clock = QuietClock()

    /// Runs so many steps as fast as the lanes take them.
    private func run(_ group: GroupExecutor, _ model: any LoadedModel, steps: Int) async -> [Result<HostTensor, ApusError>] {
        await withTaskGroup(of: (Int, Result<HostTensor, ApusError>).self) { tasks in
            for step in 0..<steps { tasks.addTask { (step, await group.runOnLane(model, [Float(step)])) } }
            var results: [Int: Result<HostTensor, ApusError>] = [:]
            for await (step, result) in tasks { results[step] = result }
            return (0..<steps).compactMap { results[$0] }
        }
    }

    @Test("answers what its stages make of the inputs, one after the other", arguments: [1, 2, 3, 8])
    func order(count: Int) async throws {
        defer { clock.stop() }
        let group = try Stages.pipeline(Array(repeating: Stages.millisecond, count: count), clock: clock)
        let model = try await group.load(Stages.request(count))
        #expect(Set(model.inputs.map(\.name)) == ["x", "rows"] && model.outputs.map(\.name) == ["y"])
        let results = await run(group, model, steps: 6)
        #expect(results.map(\.values) == (0..<6).map { [Stages.answer(Float($0), stages: count)] })
        await group.shutdown()
    }

    @Test("of 8 equal stages is busy for m / (m + s - 1) of the time with 32 steps, as a pipeline can be at best")
    func utilisation() async throws {
        defer { clock.stop() }
        let group = try Stages.pipeline(Array(repeating: Stages.millisecond, count: 8), clock: clock)
        let model = try await group.load(Stages.request(8))
        let results = await run(group, model, steps: 32)
        #expect(results.count(where: { $0.values != nil }) == 32)
        let state = try #require(try await group.groupState())
        #expect(state.activeNanoseconds == 39 * Stages.millisecond)
        #expect(abs(state.utilization - 32.0 / 39.0) < 0.03, "\(state.utilization)")
        #expect(abs(state.bubbleShare - 7.0 / 39.0) < 0.03)
        #expect(state.stages.map { $0.map(\.steps) } == Array(repeating: [32], count: 8))
        // A step's length goes by before a second burst; what happened since is told apart.
        _ = await run(group, model, steps: 1)
        let later = try #require(try await group.groupState()).since(state)
        #expect(later.activeNanoseconds == 8 * Stages.millisecond && abs(later.utilization - 1.0 / 8) < 1e-9)
        await group.shutdown()
    }

    @Test("of unequal stages is as fast as the slowest of them")
    func unbalanced() async throws {
        defer { clock.stop() }
        let costs = [1, 1, 3, 1].map { $0 * Stages.millisecond }
        let group = try Stages.pipeline(costs, clock: clock)
        let model = try await group.load(Stages.request(4))
        _ = await run(group, model, steps: 24)
        let state = try #require(try await group.groupState())
        #expect(state.activeNanoseconds == (6 + 23 * 3) * Stages.millisecond)
        #expect(state.stageBusyNanoseconds == costs.map { 24 * $0 })
        #expect(abs(state.utilization - 24.0 * 6 / (4 * 75)) < 1e-9)
        await group.shutdown()
    }

    @Test("has no more steps under way than lanes, and fewer than stages leave stages idle", arguments: [(1, 32 * 4), (2, 16 * 4), (4, 35), (5, 35)])
    func lanes(lanes: Int, milliseconds: Int) async throws {
        defer { clock.stop() }
        let group = try Stages.pipeline(Array(repeating: Stages.millisecond, count: 4), clock: clock, lanes: lanes)
        #expect(group.laneCount == lanes)
        let model = try await group.load(Stages.request(4))
        _ = await run(group, model, steps: 32)
        let state = try #require(try await group.groupState())
        #expect(abs(state.activeNanoseconds - milliseconds * Stages.millisecond) <= Stages.millisecond)
        await group.shutdown()
    }

    @Test("goes on after a step that a stage could not run, and says where it was", arguments: [StepFault.oom])
    func failedStep(fault: StepFault) async throws {
        defer { clock.stop() }
        let failures = NIOLockedValueBox<[GroupFailure]>([])
        let group = try Stages.pipeline(
            Array(repeating: Stages.millisecond, count: 4), clock: clock, faults: [2: Faults([3: fault])],
            onFailure: { failure in failures.withLockedValue { $0.append(failure) } })
        let model = try await group.load(Stages.request(4))
        let results = await run(group, model, steps: 10)
        let failed = results.compactMap(\.failure)
        #expect(failed.count == 1 && results.count(where: { $0.values != nil }) == 9)
        #expect(failed.first?.code == .outOfMemory)
        #expect(failed.first?.message.hasPrefix("stage 2, rank 0 on sim:2: ") == true)
        #expect(failures.withLockedValue { $0.isEmpty })
        #expect(await group.runOnLane(model, [7]).values == [Stages.answer(7, stages: 4)])
        await group.shutdown()
    }

    @Test("ends with the first device that does: that step fails as the device did, all others as never begun", arguments: [
        (StepFault.crash, DeviceFailure.crashed), (.sticky, .sticky), (.hang, .hung), (.lost, .lost),
    ])
    func deadDevice(fault: StepFault, death: DeviceFailure) async throws {
        defer { clock.stop() }
        let failures = NIOLockedValueBox<[GroupFailure]>([])
        let group = try Stages.pipeline(
            Array(repeating: Stages.millisecond, count: 6), clock: clock, faults: [3: Faults([5: fault])],
            onFailure: { failure in failures.withLockedValue { $0.append(failure) } })
        let model = try await group.load(Stages.request(6))
        let results = await run(group, model, steps: 20)
        let failed = results.compactMap(\.failure)
        #expect(results.count == 20)
        // Those that were past the dead stage end with the group too.
        #expect(results.count(where: { $0.values != nil }) <= 4)
        let culprits = failed.filter { $0.deviceFailure == death }
        #expect(culprits.count == 1 && culprits.first?.message.hasPrefix("stage 3, rank 0 on sim:3: ") == true)
        #expect(failed.allSatisfy { $0.place == "sim:3" })
        #expect(failed.count(where: { $0.deviceFailure == .unavailable }) == failed.count - 1)
        #expect(failed.filter { $0.deviceFailure == .unavailable }.allSatisfy { $0.message.contains("sim:3 (stage 3, rank 0)") })
        let told = failures.withLockedValue { $0 }
        #expect(told.count == 1 && told.first?.device == DeviceID(.sim, 3) && told.first?.deviceEnd == death)
        #expect(await group.runOnLane(model, [1]).failure?.deviceFailure == .unavailable)
        await #expect { try await group.load(Stages.request(6)) } throws: { ($0 as? ApusError)?.deviceFailure == .unavailable }
        await #expect { try await group.memory() } throws: { ($0 as? ApusError)?.deviceFailure == .unavailable }
        await group.shutdown()
    }

    @Test("ends what is under way when it is shut down")
    func shutdown() async throws {
        defer { clock.stop() }
        let still = VirtualClock(.stepped)
        let group = try Stages.pipeline([1, 1], clock: still)
        let model = try await group.load(Stages.request(2))
        async let results = run(group, model, steps: 3)
        await onThread { still.waitForWaiting(1) }
        await group.shutdown()
        #expect(await results.compactMap(\.failure?.deviceFailure) == [.unavailable, .unavailable, .unavailable])
    }

    @Test("computes known answers beside the lanes, where no failure is asked for")
    func besideTheLanes() async throws {
        defer { clock.stop() }
        let group = try Stages.pipeline([1, 1], clock: clock, faults: [1: Faults([1: .crash])])
        let model = try await group.load(Stages.request(2))
        let known = try await group.prepare { () throws(ApusError) in
            try model.run(Stages.inputs([3]), output: 0, memory: .kept)
        }
        #expect(known.float32 == [Stages.answer(3, stages: 2)])
        #expect(await group.runOnLane(model, [3]).failure?.deviceFailure == .crashed)
        await group.shutdown()
    }

    @Test("adds up its devices' memory and tells it of each")
    func memory() async throws {
        defer { clock.stop() }
        let members = (0..<3).map { stage -> [any Executor] in
            [
                SimulatedExecutor(
                    device: DeviceID(.sim, stage),
                    Stages.script(stage, of: 3) {
                        $0.memory = DeviceMemory(allocatedBytes: stage + 1, reservedBytes: 10, maxAllocatedBytes: 5, totalBytes: 100)
                    }, clock: clock)
            ]
        }
        let group = try GroupExecutor(members)
        #expect(group.laneCount == GroupExecutor.lanes(stages: 3) && group.device == DeviceID(.sim, 0))
        #expect(try await group.memory() == DeviceMemory(allocatedBytes: 6, reservedBytes: 30, maxAllocatedBytes: 15, totalBytes: 300))
        let state = try #require(try await group.groupState())
        #expect(state.stages.map { $0.map(\.memory.allocatedBytes) } == [[1], [2], [3]])
        #expect(state.stages.map { $0.map(\.device) } == group.devices)
        #expect(state.utilization == 0 && state.bubbleShare == 0)
        await group.shutdown()
    }

    @Test("counts a table that its ranks read in the same file once, and weights of its own for each")
    func sharedPages() async throws {
        defer { clock.stop() }
        let weights = WeightBytes(layers: 40, embedding: 50, head: 3, mapped: 50)
        let members = [[DeviceID(.cpu, 0), DeviceID(.cpu, 1)], [DeviceID(.cpu, 2), DeviceID(.cuda, 0)]].enumerated().map { stage, devices in
            devices.map { device -> any Executor in
                SimulatedExecutor(
                    device: device,
                    Stages.script(stage, of: 2) {
                        $0.memory = DeviceMemory(allocatedBytes: 95, reservedBytes: 97, maxAllocatedBytes: 96, totalBytes: 100, weights: weights)
                    }, clock: clock)
            }
        }
        let group = try GroupExecutor(members)
        let state = try #require(try await group.groupState())
        #expect(state.stages.map { $0.map(\.memory.allocatedBytes) } == [[95, 45], [95, 95]])
        #expect(state.stages.map { $0.map(\.memory.weights.mapped) } == [[50, 0], [50, 50]])
        #expect(state.stages.joined().allSatisfy { $0.memory.weights.layers == 40 && $0.memory.weights.embedding == 50 })
        let sum = try await group.memory()
        #expect(sum.allocatedBytes == 330 && sum.reservedBytes == 338 && sum.maxAllocatedBytes == 334)
        #expect(sum.weights == WeightBytes(layers: 160, embedding: 200, head: 12, mapped: 150))
        await group.shutdown()
    }

    @Test("refuses layers that do not fit it, before anything is loaded")
    func refusals() async throws {
        defer { clock.stop() }
        let group = try Stages.pipeline([1, 1], clock: clock)
        let network = LoadRequest.Source.checkpoint(directory: "", .network(.plainFP32))
        for (stages, source) in [
            ([], network), ([0..<6], network), ([0..<3, 3..<4, 4..<6], network), ([0..<3, 4..<6], network), ([0..<3, 2..<6], network),
            ([1..<3, 3..<6], network), ([0..<0, 0..<6], network), ([0..<3], .file("m.onnx")), ([0..<3, 4..<6], .file("m.onnx")),
            ([0..<3, 3..<6], .file("m.onnx", try FileSlice(nodes: 0..<3, nodeCount: 6))),
            ([0..<3, 3..<6], .checkpoint(directory: "", .pooling(width: 8))),
            ([0..<3, 3..<6], .checkpoint(directory: "", .network(.plainFP32, .whole(layerCount: 6)))),
        ] {
            await #expect("\(stages) of \(source)") {
                try await group.load(LoadRequest(name: "m", source: source, stages: stages))
            } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        }
        #expect(throws: ApusError.self) { try GroupExecutor([]) }
        #expect(throws: ApusError.self) { try GroupExecutor([[], []]) }
        let twice = SimulatedExecutor(device: DeviceID(.sim, 0), Stages.script(0, of: 1), clock: clock)
        #expect(throws: ApusError.self) { try GroupExecutor([[twice], [twice]]) }
        await group.shutdown()
    }
}
