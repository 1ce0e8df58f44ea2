import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusParallel
import ApusRuntime
import ApusSimulation
import ApusTensor
import CApusCollectives
import Foundation
import Testing

/// Groups of devices with the engine: stages of ranks against the network whole.
@Suite(.serialized) struct GroupExecutorTests {
    struct Layout: CustomTestStringConvertible {
        let stages: Int
        let ranks: Int
        var testDescription: String { "\(stages) stages of \(ranks) ranks" }

        /// Logical devices of the CPU.
        func settings() throws -> ExecutorSettings {
            var settings = ExecutorSettings(
                device: DeviceID(.cpu, 0), lanes: GroupExecutor.lanes(stages: stages), engineLibrary: TestEngine.library)
            settings.group = try GroupShape(
                (0..<stages).map { stage in (0..<ranks).map { GroupShape.Member(DeviceID(.cpu, stage * ranks + $0)) } })
            return settings
        }

        func group(
            options: GroupOptions = GroupOptions(),
            _ wrap: @escaping @Sendable (any Executor) throws(ApusError) -> any Executor = { (executor) throws(ApusError) in executor }
        ) throws -> GroupExecutor {
            try GroupExecutor.assemble(try settings(), options: options) { settings throws(ApusError) in
                try wrap(try InProcessExecutor(settings, graphs: CheckpointGraphs()))
            }
        }

        func stages(of layers: Int) -> [Range<Int>] {
            (0..<stages).map { ($0 * layers / stages)..<(($0 + 1) * layers / stages) }
        }
    }

    static let layouts = [(1, 2), (1, 4), (2, 1), (3, 1), (6, 1), (2, 2)].map { Layout(stages: $0.0, ranks: $0.1) }

    private struct Loaded {
        let group: GroupExecutor
        let model: any LoadedModel
        let conventions: EncoderConventions

        /// Runs all batches, as many at the same time as the group has lanes.
        func run(_ batches: [[EncoderBatch.Sequence]]) async -> [Result<HostTensor, ApusError>] {
            await withTaskGroup(of: (Int, Result<HostTensor, ApusError>).self) { tasks in
                for (index, sequences) in batches.enumerated() {
                    let inputs = EncoderBatch(sequences).tensors(for: model.inputs, conventions)
                    tasks.addTask {
                        let result: Result<HostTensor, ApusError> = await withCheckedContinuation { continuation in
                            group.submit {
                                continuation.resume(
                                    returning: Result { () throws(ApusError) in try model.run(inputs, output: 0, memory: .kept) })
                            }
                        }
                        return (index, result)
                    }
                }
                var results: [Int: Result<HostTensor, ApusError>] = [:]
                for await (index, result) in tasks { results[index] = result }
                return batches.indices.compactMap { results[$0] }
            }
        }

        func rows(_ batches: [[EncoderBatch.Sequence]]) async throws -> [Float] {
            try await run(batches).flatMap { try $0.get().float32 ?? [] }
        }
    }

    private static func load(_ directory: String, layers: Int, _ layout: Layout, onto group: GroupExecutor) async throws -> Loaded {
        let checkpoint = try Checkpoint(directory: directory)
        guard case .encoder(let configuration, _) = checkpoint.source else { throw ApusError(.unsupportedModel, "no encoder") }
        let model = try await group.load(
            LoadRequest(
                name: checkpoint.name, source: .checkpoint(directory: directory, .network(.fusedFP32)), stages: layout.stages(of: layers)))
        return Loaded(group: group, model: model, conventions: EncoderGraph.conventions(configuration))
    }

    private static func batches(_ sequences: [EncoderBatch.Sequence], of count: Int) -> [[EncoderBatch.Sequence]] {
        stride(from: 0, to: sequences.count, by: count).map { Array(sequences[$0..<min(sequences.count, $0 + count)]) }
    }

    private static func requireWhole(_ directory: String, layers: Int, width: Int, _ layout: Layout, _ batches: [[EncoderBatch.Sequence]]) async throws {
        let whole = try await TestEngine.run(directory, .fusedFP32, batches)
        let expected = stride(from: 0, to: whole.count, by: width).map { Array(whole[$0..<($0 + width)]) }
        #expect(expected.count == batches.joined().count)
        let group = try layout.group()
        let loaded = try await load(directory, layers: layers, layout, onto: group)
        let rows = try await loaded.rows(batches)
        #expect(agreement(rows, expected).cosine >= 0.99999)
        // Again, in another order, with other steps under way beside it.
        let again = try await loaded.rows(batches.reversed())
        let width = rows.count / max(1, batches.joined().count)
        var (place, parts): (Int, [[Float]]) = (0, [])
        for batch in batches.reversed() {
            parts.append(Array(again[place..<(place + batch.count * width)]))
            place += batch.count * width
        }
        #expect(parts.reversed().flatMap { $0 }.map(\.bitPattern) == rows.map(\.bitPattern))
        if layout.ranks == 1 { #expect(rows.map(\.bitPattern) == whole.map(\.bitPattern)) }
        let state = try #require(try await group.groupState())
        #expect(state.stages.map { $0.map(\.steps) } == Array(repeating: Array(repeating: 2 * batches.count, count: layout.ranks), count: layout.stages))
        #expect(state.utilization > 0 && state.utilization <= 1)
        await group.shutdown()
    }

    @Test(arguments: layouts)
    func groupsGiveWhatTheWholeOfMiniLMGives(layout: Layout) async throws {
        let sequences = try MiniLMFormTests.golden().0
        try await Self.requireWhole(MiniLMFormTests.directory, layers: 6, width: 384, layout, Self.batches(sequences, of: 7))
    }

    @Test(arguments: layouts + [Layout(stages: 12, ranks: 1), Layout(stages: 3, ranks: 4)])
    func groupsGiveWhatTwelveRandomLayersGive(layout: Layout) async throws {
        let random = try RandomCheckpoint(layers: 12)
        let sequences = (1...60).map { length in
            EncoderBatch.Sequence(
                ids: (0..<length).map { Int32(($0 * 37 + length * 11) % 399 + 1) }, typeIDs: [Int32](repeating: 0, count: length))
        }
        try await Self.requireWhole(random.directory.path, layers: 12, width: 64, layout, Self.batches(sequences, of: 5))
    }

    @Test(arguments: [(StepFault.oom, DeviceFailure.outOfMemory), (.lost, .lost)])
    func aRankThatFailsFailsTheStepAndNothingHangs(fault: StepFault, told: DeviceFailure) async throws {
        let layout = Layout(stages: 2, ranks: 2)
        let victim = DeviceID(.cpu, 3)
        let schedule = ChaosSchedule(ChaosScript([.init(victim, fault, .run(3))]), device: victim, now: { 0 })
        let group = try layout.group { executor throws(ApusError) in
            executor.device == victim ? try FaultingExecutor(executor, schedule, clock: MonotonicClock()) : executor
        }
        let loaded = try await Self.load(MiniLMFormTests.directory, layers: 6, layout, onto: group)
        let batches = Self.batches(try MiniLMFormTests.golden().0, of: 7)
        let results = await loaded.run(batches)
        let failures = results.compactMap { result -> ApusError? in if case .failure(let error) = result { error } else { nil } }
        let culprits = failures.filter { $0.deviceFailure == told }
        #expect(culprits.count == 1 && culprits.first?.message.hasPrefix("stage 1, rank 1 on cpu:3: ") == true)
        if fault == .oom {
            // The group goes on, and the sums of later steps are right.
            #expect(failures.count == 1 && results.count == batches.count)
            let whole = try await TestEngine.run(MiniLMFormTests.directory, .fusedFP32, batches)
            #expect(agreement(try await loaded.rows(batches), stride(from: 0, to: whole.count, by: 384).map { Array(whole[$0..<($0 + 384)]) }).cosine >= 0.99999)
        } else {
            #expect(failures.allSatisfy { $0.deviceFailure == told || $0.deviceFailure == .unavailable })
            #expect(await loaded.run([batches[0]]).allSatisfy { if case .failure(let error) = $0 { error.deviceFailure == .unavailable } else { false } })
        }
        await group.shutdown()
    }

    @Test func aSessionsThreadIsTheRankThatItsCallerIs() async throws {
        let communicator = try #require(apus_communicator_create(3, 1_000_000_000))
        defer { apus_communicator_release(communicator) }
        let shared = UInt(bitPattern: communicator)
        let thread = SessionThread(name: "test")
        let seen = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let look: @Sendable () throws(ApusError) -> (UInt, Int32) = { () throws(ApusError) in
                    var rank: Int32 = -1
                    let own = apus_thread_communicator(&rank)
                    return (UInt(bitPattern: own), rank)
                }
                apus_thread_join(OpaquePointer(bitPattern: shared), 2)
                let joined = try? thread.perform(look)
                apus_thread_join(nil, 0)
                continuation.resume(returning: [joined, try? thread.perform(look)].compactMap { $0 })
            }
        }
        #expect(seen.map(\.0) == [shared, 0] && seen.map(\.1) == [2, 0])
    }

    @Test func ranksThatCannotShareAreRefusedWithTheArithmetic() async throws {
        let layout = Layout(stages: 1, ranks: 5)
        let group = try layout.group()
        await #expect { try await Self.load(MiniLMFormTests.directory, layers: 6, layout, onto: group) } throws: { error in
            guard let error = error as? ApusError else { return false }
            return error.code == .unsupportedPlan && error.message.contains("12 mod 5 is 2") && error.advice?.contains("4") == true
        }
        await group.shutdown()
    }

    @Test(arguments: [Layout(stages: 2, ranks: 1), Layout(stages: 1, ranks: 2)])
    func aDeviceHoldsAtMostElevenTwentiethsOfTheLayers(layout: Layout) async throws {
        func bytes(_ slice: NetworkSlice?) throws -> (layers: Int, embeddings: Int) {
            let graph = try CheckpointGraphs().graph(directory: MiniLMFormTests.directory, .network(.fusedFP32, slice)).graph
            var (layers, embeddings) = (0, 0)
            for constant in graph.constants {
                let size = constant.shape.reduce(4, *)
                if constant.name.contains("layer.") { layers += size }
                if constant.name.contains("embeddings.") { embeddings += size }
            }
            return (layers, embeddings)
        }
        let whole = try bytes(nil)
        #expect(whole.layers > 42_000_000 && whole.embeddings > 46_000_000)
        for layers in layout.stages(of: 6) {
            for rank in 0..<layout.ranks {
                let own = try bytes(NetworkSlice(layers: layers, layerCount: 6, rank: rank, ranks: layout.ranks, group: "g"))
                #expect(Double(own.layers) <= 0.55 * Double(whole.layers), "\(own.layers) of \(whole.layers)")
                // The first stage has all embeddings, ranks each a copy, later stages none.
                #expect(own.embeddings == (layers.lowerBound == 0 ? whole.embeddings : 0))
            }
        }
    }
}
