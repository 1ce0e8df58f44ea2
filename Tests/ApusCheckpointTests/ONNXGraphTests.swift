import ApusCheckpoint
import ApusErrors
import ApusTensor
import Foundation
import Testing

/// Where ONNX graphs can be cut, and what parts of them hold. What parts compute is for the tests with the engine.
struct ONNXGraphTests {
    private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/cuts")

    private func fixture(_ name: String) throws -> ONNXGraph { try ONNXGraph(path: Self.fixtures.appending(path: "\(name).onnx").path) }

    private func graph(_ bytes: [UInt8]) throws -> ONNXGraph {
        let directory = try TemporaryDirectory()
        try directory.write("part.onnx", bytes)
        return try ONNXGraph(path: directory.file("part.onnx"))
    }

    /// Nodes as (inputs, outputs), between the inputs `x` and `y` and the output that is named last.
    private func graph(_ nodes: [([String], String)], weights: [String] = []) throws -> ONNXGraph {
        func value(_ name: String) -> [UInt8] { TinyONNX.field(1, name) }
        var fields: [UInt8] = []
        for (inputs, output) in nodes {
            fields += TinyONNX.field(1, inputs.flatMap { TinyONNX.field(1, $0) } + TinyONNX.field(2, output) + TinyONNX.field(4, "Sum"))
        }
        for name in weights { fields += TinyONNX.field(5, TinyONNX.field(1, 4) + TinyONNX.field(2, 1) + TinyONNX.field(8, name) + TinyONNX.field(9, [UInt8](repeating: 0, count: 16))) }
        fields += TinyONNX.field(11, value("x")) + TinyONNX.field(11, value("y")) + TinyONNX.field(12, value(nodes.last?.1 ?? ""))
        return try graph(TinyONNX.field(1, 8) + TinyONNX.field(7, fields))
    }

    @Test func `a chain can be cut behind every node but the last`() throws {
        let graph = try fixture("beside")
        #expect(graph.cuts.map(\.tensor) == (0..<6).flatMap { $0 < 5 ? ["product\($0)", "relu\($0)"] : ["product5"] })
        #expect(graph.cuts.map(\.nodes) == Array(1...11))
        let pieces = graph.pieces(graph.cuts)
        #expect(pieces.map(\.nodes) == (0..<12).map { $0..<($0 + 1) })
        // Weights in another file count with the bytes that they have there.
        #expect(pieces.map(\.bytes) == (0..<12).map { $0 % 2 == 0 ? 24 * 24 * 4 : 0 })
    }

    @Test func `a transformer can be cut between its layers although the mask goes into each`() throws {
        let graph = try fixture("encoder")
        let tensors = graph.cuts.map(\.tensor)
        for state in ["embedded", "first"] + (1..<11).map({ "l\($0)_state" }) { #expect(tensors.contains(state), "\(state)") }
        // Within attention, the queries, keys, values and the states beside them are alive.
        #expect(!tensors.contains { $0.hasSuffix("_scores") || $0.hasSuffix("_context") })
        #expect(zip(graph.cuts, graph.cuts.dropFirst()).allSatisfy { $0.nodes < $1.nodes })
        let pieces = graph.pieces(graph.cuts)
        #expect(pieces.first?.nodes.lowerBound == 0 && pieces.last?.nodes.upperBound == graph.nodeCount)
        #expect(zip(pieces, pieces.dropFirst()).allSatisfy { $0.nodes.upperBound == $1.nodes.lowerBound })
        let table = try #require(pieces.first)
        #expect(table.bytes >= 50 * 32 * 4 && table.computedBytes < 1024)
    }

    @Test func `what follows from weights alone is in every part that needs it and never crosses`() throws {
        let graph = try graph(
            [(["w"], "doubled"), (["x", "doubled"], "a"), (["a", "doubled"], "b"), (["b", "y"], "c")], weights: ["w"])
        #expect(graph.cuts.map(\.tensor) == ["a", "b"])
        let parts = try [0..<2, 2..<4].enumerated().map { place, nodes in
            let given = place == 0 ? [] : [ONNXGraph.Given(ONNXPassage(crossing: "a", .float32), shape: [nil, 4])]
            return try self.graph(try graph.part(nodes, given: given))
        }
        #expect(parts.map(\.nodeCount) == [2, 3])
        #expect(throws: ApusError.self) { try graph.part(2..<4) }
    }

    @Test func `a cut is found by its tensor, and what cannot be cut is refused with the nearest that can`() throws {
        let graph = try fixture("encoder")
        let cut = try graph.cut(behind: "l5_state")
        #expect(cut.tensor == "l5_state" && graph.cuts.contains(cut))
        // The mask crosses beside the states.
        #expect(cut.crossing == 2)
        let inside = try graph.cut(behind: "l5_scores")
        #expect(inside.crossing > 2)
        for (tensor, what, nearest) in [
            ("l5_stat", "no such tensor", "l5_state"), ("input_ids", "an input of the model", graph.cuts[0].tensor),
            ("l3_q.weight", "from weights alone", graph.cuts[0].tensor), ("sentence_embedding", "follows", graph.cuts.last?.tensor ?? ""),
        ] {
            let error = #expect(throws: ApusError.self) { try graph.cut(behind: tensor) }
            #expect(error?.code == .unsupportedPlan && error?.message.contains(what) == true, "\(tensor): \(error?.message ?? "")")
            #expect(error?.advice?.contains(nearest.debugDescription) == true, "\(tensor): \(error?.advice ?? "")")
        }
    }

    @Test func `cuts come in the order of the network`() throws {
        let graph = try fixture("encoder")
        #expect(try graph.cuts(behind: ["l2_state", "l7_state"]).map(\.tensor) == ["l2_state", "l7_state"])
        for tensors in [["l7_state", "l2_state"], ["l2_state", "l2_state"]] {
            let error = #expect(throws: ApusError.self) { try graph.cuts(behind: tensors) }
            #expect(error?.code == .unsupportedPlan && error?.message.contains("overlap") == true)
            #expect(error?.advice?.contains(#""l2_state""#) == true)
        }
    }

    @Test func `files whose nodes are in no order are not cut`() throws {
        let graph = try graph([(["b"], "c"), (["x"], "b"), (["c"], "d")])
        #expect(graph.cuts.isEmpty)
        #expect(throws: ApusError.self) { try graph.cut(behind: "b") }
        #expect(throws: ApusError.self) { try graph.part(0..<2) }
    }

    @Test func `what is no graph is refused`() throws {
        for bytes in [[], [0xff], TinyONNX.field(7, [0xff]), TinyONNX.field(7, TinyONNX.field(5, TinyONNX.field(2, 1)))] as [[UInt8]] {
            let error = #expect(throws: ApusError.self) { _ = try self.graph(bytes).part(0..<1) }
            #expect([.invalidCheckpoint, .unsupportedPlan].contains(error?.code), "\(bytes)")
        }
    }

    @Test func `long networks have no more pieces than a plan can weigh`() throws {
        let nodes = (0..<1000).map { ([$0 == 0 ? "x" : "v\($0 - 1)"], "v\($0)") }
        let graph = try graph(nodes)
        #expect(graph.cuts.count == 63)
        let lengths = graph.pieces(graph.cuts).map(\.nodes.count)
        #expect(lengths.allSatisfy { (8...24).contains($0) }, "\(lengths)")
    }

    @Test(arguments: [
        (.float32, .float32), (.int64, .int64), (.bool, .int32), (.float16, .float32), (.bfloat16, .float32), (.uint32, .int64), (.uint64, nil),
        (.float64, nil),
    ] as [(ElementType, ElementType?)])
    func `values cross in types that are as exact`(_ row: (type: ElementType, carrier: ElementType?)) throws {
        let passage = ONNXPassage("a.b", row.type)
        #expect(passage?.carrier == row.carrier)
        guard let passage else { return }
        #expect(ONNXPassage(crossing: passage.name, passage.carrier) == passage)
        #expect(passage.isConverted == (row.type != row.carrier))
    }

    @Test func `a name that only looks converted is a name`() {
        let passage = ONNXPassage(crossing: "apus.carried.9.x", .float32)
        #expect(passage.value == "apus.carried.9.x" && !passage.isConverted)
    }
}
