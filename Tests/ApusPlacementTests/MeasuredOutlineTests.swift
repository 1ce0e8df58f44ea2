import ApusErrors
import ApusPlacement
import ApusTensor
import Testing

/// Plans by what layers were measured to take.
struct MeasuredOutlineTests {
    private func outline(_ layers: Int) throws -> NetworkOutline {
        try NetworkOutline(
            name: "m", layers: Array(repeating: .init(shardedBytes: 100, cost: 7), count: layers), embedding: .init(bytes: 1_000, cost: 1),
            head: .init(bytes: 10, cost: 1), widths: .init(heads: 4, feedForward: 8, hidden: 4))
    }

    @Test func `what the ends take more than a layer in the middle stands before and behind the layers`() throws {
        let measured = try outline(5).measured([5, 2, 2.1, 1.9, 3], areAlike: true)
        #expect(measured.layers.map(\.cost) == [2, 2, 2.1, 1.9, 2])
        #expect(measured.embedding.cost == 3 && measured.head.cost == 1 && measured.costUnit == .secondsPerToken)
        #expect(measured.weightBytes == (try outline(5)).weightBytes)
        // A first layer that was measured faster than others has nothing in front of it that takes time.
        #expect(try outline(3).measured([1, 2, 2], areAlike: true).embedding.cost == 0)
    }

    @Test func `pieces that differ keep what each takes`() throws {
        let measured = try outline(4).measured([1, 1, 9, 1], areAlike: false)
        #expect(measured.layers.map(\.cost) == [1, 1, 9, 1] && measured.embedding.cost == 0 && measured.head.cost == 0)
    }

    @Test func `a heavy layer stands alone although there are as many layers behind the cut as before`() throws {
        let devices = [PlanDevice(DeviceID(.cpu, 0)), PlanDevice(DeviceID(.cpu, 1))]
        var wishes = ParallelWishes()
        wishes.pipelineParallel = 2
        func plan(_ outline: NetworkOutline) throws -> Plan { try PlanRequest(outline, on: devices, wishes: wishes).plan() }
        let reckoned = try plan(try outline(8))
        #expect(reckoned.replicas[0].stages.map(\.layers) == [0..<4, 4..<8])
        let measured = try outline(8).measured([1, 1, 1, 1, 1, 1, 1, 9], areAlike: false)
        let better = try plan(measured)
        #expect(better.replicas[0].stages.map(\.layers) == [0..<7, 7..<8])
        let expected = try #require(reckoned.balance(under: measured) { _ in 1 })
        #expect(abs(expected - 12 * 2 / 16.0) < 1e-9 && abs(better.balance - 9 * 2 / 16.0) < 1e-9)
        #expect(reckoned.balance(under: try outline(7)) { _ in 1 } == nil)
    }

    @Test(arguments: [[], [1, 1], [1, 0, 1], [1, -.infinity, 1], [1, .nan, 1]] as [[Double]])
    func `measurements that fit no layers are refused`(_ seconds: [Double]) throws {
        let outline = try outline(3)
        let error = #expect(throws: ApusError.self) { try outline.measured(seconds, areAlike: true) }
        #expect(error?.code == .invalidValue)
    }

    @Test func `tensors are named between all layers or not at all`() throws {
        #expect(throws: ApusError.self) {
            try NetworkOutline(name: "m", layers: [.init(shardedBytes: 0, cost: 1), .init(shardedBytes: 0, cost: 1)], widths: .init(hidden: 1), cutTensors: ["a", "b"])
        }
    }

    @Test func `cuts behind tensors are a pipeline of their own`() throws {
        let layers = Array(repeating: NetworkOutline.Layer(shardedBytes: 0, replicatedBytes: 1, cost: 1), count: 3)
        let file = try NetworkOutline(name: "f", layers: layers, widths: .init(hidden: 1), cutTensors: ["a", "b"])
        let devices = (0..<3).map { PlanDevice(DeviceID(.cpu, $0)) }
        func refusal(_ outline: NetworkOutline, _ change: (inout ParallelWishes) throws -> Void) throws -> ApusError? {
            var wishes = ParallelWishes()
            wishes.cuts = ["a", "b"]
            try change(&wishes)
            return #expect(throws: ApusError.self) { try PlanRequest(outline, on: devices, wishes: wishes).plan() }
        }
        var wishes = ParallelWishes()
        wishes.cuts = ["a", "b"]
        let plan = try PlanRequest(file, on: devices, wishes: wishes).plan()
        #expect(plan.replicas[0].stages.map(\.layers) == [0..<1, 1..<2, 2..<3])
        #expect(try refusal(file) { $0.pipelineParallel = 2 }?.message.contains("3 stages") == true)
        #expect(try refusal(file) { $0.splits = try SplitPoint.list("3:cpu:0", place: "test") }?.code == .unsupportedPlan)
        #expect(try refusal(try outline(3)) { _ in }?.message.contains("ONNX file") == true)
    }
}
