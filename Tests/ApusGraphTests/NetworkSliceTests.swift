import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor
import Foundation
import Testing

/// What stages and shards are made of. The tiny checkpoints have two layers of four heads.
@Suite struct NetworkSliceTests {
    private static func directory(_ name: String) -> String { GraphFormTests.fixtures.appendingPathComponent(name).path }

    private static func graph(_ name: String, _ form: NetworkForm, _ slice: NetworkSlice?) throws -> GraphDescription {
        try CheckpointGraphs().graph(directory: directory(name), .network(form, slice)).graph
    }

    private static func stages(_ name: String, _ form: NetworkForm) throws -> [GraphDescription] {
        try [0..<1, 1..<2].map { try graph(name, form, NetworkSlice(layers: $0, layerCount: 2)) }
    }

    private static func shards(_ name: String, _ form: NetworkForm, _ ranks: Int) throws -> [GraphDescription] {
        try (0..<ranks).map { rank in
            try graph(name, form, NetworkSlice(layers: 0..<2, layerCount: 2, rank: rank, ranks: ranks, group: "a group"))
        }
    }

    /// Names of weights; literals and what all layers share are no part of any stage alone.
    private static func weights(_ graph: GraphDescription) -> Set<String> {
        Set(graph.constants.map(\.name).filter { !$0.hasPrefix("i64:") && !$0.hasPrefix("f32:") && !$0.contains("relative_attention_bias") })
    }

    private static func bytes(_ constant: Constant) -> [UInt8] {
        switch constant.storage {
        case .borrowed(let source): Array(source.bytes)
        case .owned(let bytes): bytes
        }
    }

    private func requireSound(_ graph: GraphDescription, _ what: String) {
        var known = Set(graph.inputs.map(\.name) + graph.constants.map(\.name) + [""])
        for node in graph.nodes {
            #expect(node.inputs.allSatisfy(known.contains), "\(what): \(node.operation)")
            #expect(known.isDisjoint(with: node.outputs), "\(what): \(node.operation)")
            known.formUnion(node.outputs)
        }
        #expect(graph.outputs.allSatisfy { known.contains($0.name) && $0.elementType == .float32 })
        let used = Set(graph.nodes.flatMap(\.inputs))
        #expect(graph.inputs.allSatisfy { used.contains($0.name) }, "\(what)")
    }

    @Test(arguments: GraphFormTests.names, NetworkForm.allCases)
    func everyWeightIsInOneStage(name: String, form: NetworkForm) throws {
        let whole = Self.weights(try Self.graph(name, form, nil))
        let stages = try Self.stages(name, form).map(Self.weights)
        #expect(stages[0].union(stages[1]) == whole)
        #expect(stages[0].isDisjoint(with: stages[1]))
        #expect(stages[0].allSatisfy { !$0.contains("layer.1.") && !$0.contains("Dense") })
        #expect(stages[1].allSatisfy { !$0.contains("layer.0.") && !$0.contains("embeddings.") })
        #expect(stages[0].contains { $0.contains("layer.0.") } && stages[1].contains { $0.contains("layer.1.") })
    }

    @Test(arguments: GraphFormTests.names, NetworkForm.allCases)
    func stagesHandHiddenStatesOn(name: String, form: NetworkForm) throws {
        let stages = try Self.stages(name, form)
        for stage in stages { requireSound(stage, "\(name) \(form)") }
        let hidden = stages[1].inputs.filter { $0.name == EncoderGraph.hiddenInput }
        #expect(stages[0].outputs.map(\.name) == [EncoderGraph.hiddenOutput])
        #expect(stages[0].outputs.map(\.shape) == hidden.map(\.shape) && hidden.first?.elementType == .float32)
        #expect(stages[1].outputs == (try Self.graph(name, form, nil)).outputs)
        #expect(!stages[0].inputs.contains { $0.name == EncoderGraph.hiddenInput })
        #expect(!stages[1].inputs.contains { $0.name == "input_ids" || $0.name == "position_ids" || $0.name == "token_type_ids" })
    }

    @Test func aSliceOfAllLayersIsTheWholeNetwork() throws {
        for form in NetworkForm.allCases {
            let whole = try Self.graph("mpnet-mean-max", form, nil)
            let slice = try Self.graph("mpnet-mean-max", form, .whole(layerCount: 2))
            #expect(slice.nodes.map(\.operation) == whole.nodes.map(\.operation) && slice.inputs == whole.inputs)
            #expect(slice.constants.map(\.name) == whole.constants.map(\.name))
        }
    }

    @Test(arguments: GraphFormTests.names, [2, 4])
    func ranksHoldTheirPartOfEachLayer(name: String, ranks: Int) throws {
        for form in [NetworkForm.plainFP32, .fusedFP32, .fusedFP16, .fusedBF16] {
            let whole = try Self.graph(name, form, nil)
            let shards = try Self.shards(name, form, ranks)
            let matrices = { (graph: GraphDescription) in
                graph.constants.filter { $0.name.contains("layer.") && $0.shape.count == 2 }
            }
            let size = { (graph: GraphDescription) in matrices(graph).reduce(0) { $0 + Self.bytes($1).count } }
            for (rank, shard) in shards.enumerated() {
                requireSound(shard, "\(name) \(form) rank \(rank)")
                #expect(size(shard) * ranks == size(whole))
                #expect(matrices(shard).count == matrices(whole).count)
                let sums = shard.nodes.filter { $0.operation == "AllReduce" && $0.domain == "apus" }
                #expect(sums.count == 4)
                #expect(sums.allSatisfy {
                    $0.attributes == ["group": .string("a group"), "rank": .int(Int64(rank)), "ranks": .int(Int64(ranks))]
                })
                #expect(shard.outputs == whole.outputs)
                #expect(shard.nodes.map(\.operation) == shards[0].nodes.map(\.operation))
            }
        }
    }

    /// Rows of one matrix and columns of another, put together again, are what the checkpoint holds.
    @Test(arguments: [("bert-mean", "encoder.layer.1.attention.self.key", "encoder.layer.1.output.dense"),
        ("bert-cls-fp16", "encoder.layer.0.intermediate.dense", "encoder.layer.0.attention.output.dense"),
        ("mpnet-mean-max", "encoder.layer.1.attention.attn.v", "encoder.relative_attention_bias")])
    func shardsTogetherAreTheCheckpoint(name: String, rows: String, columns: String) throws {
        let whole = try Self.graph(name, .plainFP32, nil)
        let shards = try Self.shards(name, .plainFP32, 2)
        func find(_ graph: GraphDescription, _ prefix: String) throws -> Constant {
            try #require(graph.constants.first { $0.name.hasPrefix(prefix) })
        }
        for (weight, joinsRows) in [("\(rows).weight", true), ("\(rows).bias", true), ("\(columns).weight", false)] {
            let expected = try find(whole, weight)
            let parts = try shards.map { try find($0, weight) }
            #expect(parts.allSatisfy { $0.elementType == expected.elementType })
            if joinsRows {
                #expect(parts.flatMap(Self.bytes) == Self.bytes(expected))
            } else {
                let width = expected.shape[1] / 2 * expected.elementType.byteCount
                let halves = parts.map(Self.bytes)
                let joined = (0..<expected.shape[0]).flatMap { row in halves.flatMap { $0[(row * width)..<((row + 1) * width)] } }
                #expect(joined == Self.bytes(expected))
                #expect(halves[0] != halves[1])
            }
        }
    }

    /// Weights of other layers that cannot be quantised do not matter: they are not read.
    @Test func aStageReadsNoWeightsButItsOwn() throws {
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("apus-slices-\(UUID().uuidString)")
        try FileManager.default.copyItem(atPath: Self.directory("bert-mean"), toPath: copy.path)
        defer { try? FileManager.default.removeItem(at: copy) }
        try Self.poison("encoder.layer.1.output.dense.weight", in: copy.appendingPathComponent("model.safetensors"))
        func graph(_ layers: Range<Int>) throws -> GraphDescription {
            try CheckpointGraphs().graph(
                directory: copy.path, .network(.kernelsInt8, try NetworkSlice(layers: layers, layerCount: 2))).graph
        }
        #expect(try graph(0..<1).nodes.count > 2)
        #expect { _ = try graph(1..<2) } throws: { ($0 as? ApusError)?.code == .invalidCheckpoint }
    }

    /// Makes the first element of a fp32 tensor infinite.
    private static func poison(_ tensor: String, in file: URL) throws {
        var bytes = [UInt8](try Data(contentsOf: file))
        let length = bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try JSONSerialization.jsonObject(with: Data(bytes[8..<(8 + length)])) as? [String: Any]
        let entry = try #require(header?.first { $0.key.hasSuffix(tensor) }?.value as? [String: Any])
        let offsets = try #require(entry["data_offsets"] as? [Int])
        bytes.replaceSubrange((8 + length + offsets[0])..<(8 + length + offsets[0] + 4), with: [0, 0, 0x80, 0x7F])
        try Data(bytes).write(to: file)
    }

    @Test func whatCannotBeCutIsRefusedWithTheArithmetic() throws {
        func refusal(_ form: NetworkForm, _ slice: () throws -> NetworkSlice) -> ApusError? {
            do {
                _ = try Self.graph("bert-mean", form, try slice())
                return nil
            } catch {
                return error as? ApusError
            }
        }
        let three = refusal(.fusedFP32) { try NetworkSlice(layers: 0..<2, layerCount: 2, rank: 0, ranks: 3) }
        #expect(three?.code == .unsupportedPlan)
        #expect(three?.message.contains("4 mod 3 is 1") == true && three?.advice?.contains(" 2") == true)
        for form in [NetworkForm.kernelsFP32, .kernelsInt8, .fusedInt8, .fusedInt4] {
            #expect(refusal(form) { try NetworkSlice(layers: 0..<2, layerCount: 2, rank: 1, ranks: 2) }?.code == .unsupportedPlan)
        }
        #expect(refusal(.fusedFP32) { try NetworkSlice(layers: 0..<3, layerCount: 6) }?.code == .unsupportedPlan)
        for (layers, count) in [(0..<0, 2), (1..<3, 2), (-1..<1, 2), (2..<2, 2)] {
            #expect(refusal(.fusedFP32) { try NetworkSlice(layers: layers, layerCount: count) }?.code == .unsupportedPlan)
        }
        for (rank, ranks) in [(2, 2), (-1, 2), (0, 0), (0, -1)] {
            #expect(
                refusal(.fusedFP32) { try NetworkSlice(layers: 0..<2, layerCount: 2, rank: rank, ranks: ranks) }?.code == .unsupportedPlan)
        }
    }
}
