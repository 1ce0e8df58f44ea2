import Apus
import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusJSON
import ApusParallel
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// ONNX files in parts against the files whole, on what `scripts/make_cut_models.py` writes.
@Suite(.serialized) struct FilePartTests {
    private static let folder = TinyCheckpoint.repository.appendingPathComponent("Tests/Fixtures/cuts")

    private static func path(_ name: String) -> String { folder.appendingPathComponent("\(name).onnx").path }

    /// Inputs and outputs of a file as ONNX Runtime gave them from Python.
    private static func golden(_ name: String) throws -> [String: HostTensor] {
        let document = try JSONReader(JSONValue(parsing: Array(try Data(contentsOf: folder.appendingPathComponent("golden.json")))))
        let file = try document.reader(name)
        var tensors: [String: HostTensor] = [:]
        for key in ["input_ids", "attention_mask", "x", "y", "sentence_embedding", "first"] {
            guard let tensor = try file.optionalReader(key) else { continue }
            let shape = try tensor.array("shape").map { value in try value.integerValue(at: key, code: .invalidValue) }
            let values = try tensor.array("values").map { value -> Double in
                switch value {
                case .integer(let number): Double(number)
                case .number(let number): number
                default: throw ApusError(.invalidValue, "no number")
                }
            }
            let isInteger = key == "input_ids" || key == "attention_mask"
            tensors[key] = HostTensor(shape, isInteger ? .int64(values.map { Int64($0) }) : .float32(values.map { Float($0) }))
        }
        return tensors
    }

    private static func group(_ stages: Int) throws -> GroupExecutor {
        var settings = ExecutorSettings(device: DeviceID(.cpu, 0), lanes: stages + 1, engineLibrary: TestEngine.library)
        settings.group = try GroupShape((0..<stages).map { [GroupShape.Member(DeviceID(.cpu, $0))] })
        return try GroupExecutor.assemble(settings) { settings throws(ApusError) in
            try InProcessExecutor(settings, graphs: CheckpointGraphs())
        }
    }

    private static func run(_ model: any LoadedModel, on executor: any Executor, _ inputs: [String: HostTensor]) async throws -> [HostTensor] {
        let outputs = Array(model.outputs.indices)
        return try await withCheckedContinuation { continuation in
            executor.submit {
                continuation.resume(
                    returning: Result { () throws(ApusError) in try model.run(inputs, outputs: outputs, memory: .kept) })
            }
        }.get()
    }

    /// Loads `name` in parts and requires what it gives whole, and about what it gave from Python.
    ///
    /// - Parameter tolerance: of the difference to what it gives whole; nil for none to the bit. On a CPU the engine computes float16 in float32 and rounds
    ///   only what leaves it, so that a cut rounds once more.
    private func requireWhole(_ name: String, _ stages: [Range<Int>], tolerance: Float? = nil) async throws {
        let golden = try Self.golden(name)
        let executor = try TestEngine.executor()
        let whole = try await executor.load(LoadRequest(name: name, source: .file(Self.path(name)), optimization: .none))
        let expected = try await Self.run(whole, on: executor, golden)
        let group = try Self.group(stages.count)
        let model = try await group.load(
            LoadRequest(name: name, source: .file(Self.path(name)), optimization: .none, stages: stages))
        #expect(model.inputs.map(\.name) == whole.inputs.map(\.name) && model.outputs.map(\.name) == whole.outputs.map(\.name))
        #expect(model.outputs.map(\.elementType) == whole.outputs.map(\.elementType))
        let results = try await Self.run(model, on: group, golden)
        for ((tensor, other), output) in zip(zip(results, expected), model.outputs) {
            #expect(tensor.shape == other.shape)
            if tolerance == nil {
                #expect(tensor.float32?.map(\.bitPattern) == other.float32?.map(\.bitPattern), "\(name) \(output.name) in \(stages)")
            }
            let reference = try #require(golden[output.name]?.float32)
            let largest = zip(try #require(tensor.float32), reference).map { abs($0 - $1) }.max() ?? .infinity
            #expect(largest < tolerance ?? 2e-5, "\(name) \(output.name)")
        }
        await group.shutdown()
        await executor.shutdown()
    }

    private func stages(_ name: String, behind tensors: [String]) throws -> [Range<Int>] {
        let graph = try ONNXGraph(path: Self.path(name))
        return graph.pieces(try graph.cuts(behind: tensors)).map(\.nodes)
    }

    @Test(arguments: [
        ["l5_state"], ["embedded"], ["l10_state"], ["first", "l3_state", "l7_state"], ["wide_mask"], ["l0_scores", "l6_relu"],
        (1..<11).map { "l\($0)_state" },
    ])
    func partsOfAnEncoderGiveWhatItGivesWhole(behind tensors: [String]) async throws {
        try await requireWhole("encoder", try stages("encoder", behind: tensors))
    }

    @Test(arguments: [["relu1"], ["narrow", "product2"], ["relu3"]])
    func float16CrossesACut(behind tensors: [String]) async throws {
        try await requireWhole("half", try stages("half", behind: tensors), tolerance: 2e-3)
    }

    @Test(arguments: [["early"], ["late"], ["is_positive"], ["early", "late", "chosen"]])
    func branchesTakeWhatEarlierPartsMade(behind tensors: [String]) async throws {
        try await requireWhole("branch", try stages("branch", behind: tensors))
    }

    @Test func weightsInFilesBesideAreFound() async throws {
        try await requireWhole("beside", try stages("beside", behind: ["relu1", "relu3"]))
    }

    @Test func everyPlaceOfEveryFileCanBeCut() async throws {
        for name in ["encoder", "half", "branch", "beside", "uneven"] {
            let graph = try ONNXGraph(path: Self.path(name))
            let cuts = graph.cuts
            #expect(!cuts.isEmpty, "\(name)")
            for cut in cuts.enumerated().filter({ $0.offset % 5 == 0 }).map(\.element) {
                try await requireWhole(name, [0..<cut.nodes, cut.nodes..<graph.nodeCount], tolerance: name == "half" ? 2e-3 : nil)
            }
        }
    }

    @Test func modelsAreSharedThroughTheLibrary() async throws {
        let golden = try Self.golden("encoder")
        let ids = try #require(golden["input_ids"]), mask = try #require(golden["attention_mask"])
        let items = try (0..<3).map { row in
            func part(_ tensor: HostTensor) throws -> Tensor {
                guard case .int64(let values) = tensor.elements else { throw ApusError(.invalidValue, "no integers") }
                return try Tensor(shape: [7], .int64(Array(values[(row * 7)..<(row * 7 + 7)])))
            }
            return ["input_ids": try part(ids), "attention_mask": try part(mask)]
        }
        let expected = try #require(golden["sentence_embedding"]?.float32)
        for (parallelism, devices) in [
            (Parallelism(devices: "cpu:2", strategy: .pipeline), 1), (Parallelism(devices: "cpu:3", cuts: ["l2_state", "l7_state"]), 1),
            (Parallelism(devices: "cpu:2", strategy: .dataParallel), 2), (Parallelism(devices: "cpu:4", pipelineParallel: 2, replicas: 2), 2),
        ] {
            let model = try await Model.load(Self.path("encoder"), sharing: parallelism, installation: Pictures.installation)
            #expect(model.devices.count == devices, "\(parallelism)")
            let answers = try await model.batchExecute(items)
            let rows = answers.compactMap { $0["sentence_embedding"]?.float32 }.flatMap(\.self)
            #expect(rows.count == expected.count)
            #expect(zip(rows, expected).allSatisfy { abs($0 - $1) < 2e-5 }, "\(parallelism)")
        }
    }

    @Test func plansThatAreImpossibleForAFileAreRefusedBeforeItIsLoaded() async throws {
        for (parallelism, what) in [
            (Parallelism(devices: "cpu:2", cuts: ["l2_stat"]), "no such tensor"), (Parallelism(devices: "cpu:2", tensorParallel: 2), "one piece"),
            (Parallelism(devices: "cpu:4", cuts: ["l2_state", "l1_state"]), "overlap"),
            (Parallelism(devices: "cpu:2", cuts: ["l2_state", "l7_state"]), "3"),
        ] {
            let error = await #expect(throws: ApusError.self) {
                try await Model.load(Self.path("encoder"), sharing: parallelism, installation: Pictures.installation)
            }
            #expect(error?.code == .unsupportedPlan && error?.message.contains(what) == true, "\(parallelism): \(error.map { "\($0)" } ?? "")")
        }
    }
}
