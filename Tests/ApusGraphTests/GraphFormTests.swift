import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor
import Foundation
import Testing

/// What graphs are made of, by family and form.
@Suite struct GraphFormTests {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/tiny")
    static let names = [
        "bert-cls-fp16", "bert-max-dense-sharded", "bert-mean", "distilbert-weighted", "mpnet-mean-max", "roberta-cls-dense",
        "xlm-roberta-mean-bf16",
    ]

    static func graph(_ name: String, _ form: NetworkForm) throws -> GraphDescription {
        try CheckpointGraphs().graph(directory: fixtures.appendingPathComponent(name).path, .network(form)).graph
    }

    private func bytes(_ constant: Constant) -> Int {
        switch constant.storage {
        case .borrowed(let source): source.bytes.count
        case .owned(let bytes): bytes.count
        }
    }

    @Test(arguments: names, [NetworkForm.kernelsFP32, .kernelsBF16, .kernelsInt8])
    func kernelsAreTwoOperatorsALayer(name: String, form: NetworkForm) throws {
        let graph = try Self.graph(name, form)
        func nodes(_ operation: String) -> [Node] { graph.nodes.filter { $0.operation == operation && $0.domain == "apus" } }
        #expect(nodes("Embed").count == 1)
        #expect(nodes("SelfAttention").count == 2)
        #expect(nodes("FeedForward").count == 2)
        #expect(nodes("Linear").count == (name.contains("dense") || name == "distilbert-weighted" ? 1 : 0))
        #expect(nodes("Pool").count == (name == "mpnet-mean-max" ? 2 : 1))
        #expect(nodes("SelfAttention").allSatisfy { ($0.inputs.count == 9) == (name == "mpnet-mean-max") })
        #expect(!graph.nodes.contains { ["Gemm", "Gather", "Cast"].contains($0.operation) } || name == "mpnet-mean-max")
        for case .borrowed(let source) in graph.constants.filter({ $0.name.hasPrefix("packed:") }).map(\.storage) {
            #expect(UInt(bitPattern: source.bytes.baseAddress) % 64 == 0)
        }
    }

    /// Inputs that a graph declares are made in every step.
    @Test func kernelsAskForNothingButTokensAndWhereSequencesStart() throws {
        func inputs(_ name: String) throws -> [String] { try Self.graph(name, .kernelsInt8).inputs.map(\.name).sorted() }
        #expect(try inputs("bert-mean") == ["input_ids", "position_ids", "starts", "token_type_ids"])
        #expect(try inputs("distilbert-weighted") == ["input_ids", "position_ids", "starts"])
        #expect(try inputs("mpnet-mean-max") == ["input_ids", "position_buckets", "position_ids", "starts"])
    }

    @Test func everyEdgeOfEveryFormIsAnInputAConstantOrAResult() throws {
        for name in Self.names {
            for form in NetworkForm.allCases {
                let graph = try Self.graph(name, form)
                var known = Set(graph.inputs.map(\.name) + graph.constants.map(\.name) + [""])
                for node in graph.nodes {
                    #expect(node.inputs.allSatisfy(known.contains), "\(name) \(form) \(node.operation)")
                    known.formUnion(node.outputs)
                }
                #expect(graph.outputs.allSatisfy { known.contains($0.name) && $0.elementType == .float32 })
                #expect(Set(graph.constants.map(\.name)).count == graph.constants.count)
            }
        }
    }

    @Test func quantisedWeightsTakeTheirShareOfFP32() throws {
        let plain = try Self.graph("bert-mean", .plainFP32)
        func size(_ graph: GraphDescription, _ pick: (String) -> Bool) -> Double {
            Double(graph.constants.filter { pick($0.name) }.reduce(0) { $0 + bytes($1) })
        }
        let layers = { (name: String) in name.contains("encoder.layer") && !name.contains("Norm") && !name.contains(".bias") }
        let full = size(plain, layers)
        #expect(full > 100_000)
        #expect(size(try Self.graph("bert-mean", .fusedInt4), layers) <= 0.16 * full)
        #expect(size(try Self.graph("bert-mean", .fusedInt8), layers) <= 0.30 * full)
        #expect(size(try Self.graph("bert-mean", .kernelsInt8), layers) <= 0.30 * full)
    }

    @Test func sixteenBitsEndBeforeThePooling() throws {
        for (form, type) in [(NetworkForm.fusedFP16, ElementType.float16), (.fusedBF16, .bfloat16)] {
            let graph = try Self.graph("bert-mean", form)
            let casts = graph.nodes.filter { $0.operation == "Cast" }
            let pooling = try #require(graph.nodes.firstIndex { $0.operation == "ReduceSum" })
            let widening = try #require(graph.nodes.lastIndex { $0.attributes["to"] == .int(Int64(ElementType.float32.rawValue)) })
            #expect(widening < pooling)
            #expect(casts.filter { $0.attributes["to"] == .int(Int64(type.rawValue)) }.count == casts.count - 1)
            #expect(graph.nodes.contains { $0.operation == "GroupQueryAttention" })
        }
        // No accelerator's fused attention takes a bias of the scores.
        #expect(!(try Self.graph("mpnet-mean-max", .fusedFP16).nodes.contains { $0.operation == "GroupQueryAttention" }))
    }
}
