import ApusErrors
import ApusPlacement
import ApusTensor
import Testing

struct PlanRefusalTests {
    private static let four = PlanDevice.several(.cpu, 4)

    /// What is answered to wishes on four devices, or those given.
    private static func refusal(
        _ devices: [PlanDevice] = four, model: NetworkOutline? = nil, _ wish: (inout ParallelWishes) throws -> Void
    ) throws -> ApusError {
        var wishes = ParallelWishes()
        try wish(&wishes)
        let model = try model ?? .miniLM()
        do throws(ApusError) {
            let request = try PlanRequest(model, on: devices, wishes: wishes, tokens: 100)
            let plan = try request.plan()
            Issue.record("\(plan) was not refused")
            return ApusError(.wrongAnswer, "")
        } catch {
            #expect(error.code == .unsupportedPlan)
            return error
        }
    }

    @Test func `five ranks do not divide twelve heads`() throws {
        let error = try Self.refusal(PlanDevice.several(.cpu, 8)) { $0.tensorParallel = 5 }
        #expect(error.message == "tensor_parallel 5 does not divide 12 heads: 12 = 5 x 2 + 2")
        #expect(error.advice == "The nearest plan that works is tensor_parallel 6, pipeline_parallel 1, replicas 1: [[0,1,2,3,4,5]]")
        #expect(error.place == "MiniLM")
    }

    @Test func `key-value heads and columns have to divide too`() throws {
        let layers = [NetworkOutline.Layer(shardedBytes: 8, cost: 1)]
        let grouped = try NetworkOutline(
            name: "grouped", layers: layers, widths: NetworkOutline.Widths(heads: 8, keyValueHeads: 2, feedForward: 96, hidden: 64))
        #expect(try Self.refusal(model: grouped) { $0.tensorParallel = 4 }.message.contains("2 heads of keys and values: 2 = 4 x 0 + 2"))
        let odd = try NetworkOutline(name: "odd", layers: layers, widths: NetworkOutline.Widths(heads: 8, feedForward: 99, hidden: 64))
        #expect(try Self.refusal(model: odd) { $0.tensorParallel = 2 }.message.contains("99 feed-forward columns: 99 = 2 x 49 + 1"))
        let whole = try NetworkOutline(name: "whole", layers: layers, widths: NetworkOutline.Widths(hidden: 64))
        #expect(try Self.refusal(model: whole) { $0.tensorParallel = 2 }.message.contains("given as one piece"))
    }

    @Test func `there are no more stages than layers`() throws {
        let error = try Self.refusal(PlanDevice.several(.cpu, 8)) { $0.pipelineParallel = 7 }
        #expect(error.message.contains("more stages than the model has layers: 7 > 6"))
        #expect(error.advice?.contains("pipeline_parallel 6, replicas 1: [[0],[1],[2],[3],[4],[5]]") == true)
    }

    @Test func `there are no more devices than there are`() throws {
        let error = try Self.refusal {
            $0.tensorParallel = 2
            $0.pipelineParallel = 2
            $0.replicas = 2
        }
        #expect(error.message == "replicas 2 x pipeline_parallel 2 x tensor_parallel 2 = 8 devices, and there are 4")
        #expect(error.advice?.hasPrefix("The nearest plan that works is") == true)
        let huge = try Self.refusal {
            $0.pipelineParallel = 2
            $0.replicas = .max
        }
        #expect(huge.message.contains("more than can be counted devices"))
    }

    @Test func `unknown devices and devices named twice are told by name`() throws {
        #expect(try Self.refusal { $0.deviceIDs = [DeviceID(.cuda, 5)] }.message == "there is no device cuda:5")
        #expect(try Self.refusal { $0.preferredDevices = [DeviceID(.cpu, 4)] }.advice == "There are cpu:0, cpu:1, cpu:2, cpu:3")
        #expect(try Self.refusal { $0.modelAssignments = ["MiniLM": DeviceID(.cpu, 9)] }.message.contains("cpu:9"))
        #expect(try Self.refusal { $0.deviceIDs = [DeviceID(.cpu, 1), DeviceID(.cpu, 1)] }.message == "the device cpu:1 is named twice")
        #expect(try Self.refusal(Self.four + Self.four.prefix(1)) { _ in }.message == "the device cpu:0 is named twice")
        #expect(try Self.refusal([]) { _ in }.message == "there is no device to plan for")
    }

    @Test(arguments: [
        ("3:cpu:0,3:cpu:1,6:cpu:2", "overlap: 3:cpu:1 leaves no layer for cpu:1"),
        ("4:cpu:0,2:cpu:1,6:cpu:2", "overlap: 2:cpu:1 goes back from layer 4 to layer 2"),
        ("0:cpu:0,6:cpu:1", "overlap: 0:cpu:0 leaves no layer for cpu:0"),
        ("3:cpu:0,5:cpu:1", "end at layer 5, and the model has 6 layers"),
        ("3:cpu:0,7:cpu:1", "end at layer 7, and the model has 6 layers"),
    ])
    func `split points have to cover every layer once, in order`(_ splits: String, _ message: String) throws {
        let error = try Self.refusal { $0.splits = try SplitPoint.list(splits, place: "test") }
        #expect(error.message == "the split points \(splits) \(message)")
        let isInThree = splits.split(separator: ",").count == 3
        #expect(error.advice == "The nearest that works is \(isInThree ? "2:cpu:0,4:cpu:1,6:cpu:2" : "3:cpu:0,6:cpu:1")")
    }

    @Test func `split points name each device once, and only devices there are`() throws {
        let twice = try Self.refusal { $0.splits = try SplitPoint.list("2:cpu:0,4:cpu:1,6:cpu:0", place: "test") }
        #expect(twice.message == "the device cpu:0 is named twice" && twice.advice == "The nearest that works is 3:cpu:0,6:cpu:1")
        #expect(try Self.refusal { $0.splits = try SplitPoint.list("3:cpu:0,6:cuda:0", place: "test") }.message == "there is no device cuda:0")
    }

    @Test(arguments: ["", "3", "3:", ":cpu:0", "3:cpu", "-1:cpu:0", "3:cpu:0,", "3:cpu:0,,6:cpu:1", "x:cpu:0", "99999999999999999999:cpu:0", "3:gpu:0"])
    func `what is no split point is told with an example`(_ text: String) throws {
        do throws(ApusError) {
            _ = try SplitPoint.list(text, place: "--split")
            Issue.record("\(text) was read")
        } catch {
            #expect(error.code == .invalidValue && error.place == "--split")
            #expect(error.advice?.contains("3:cpu:0,6:cpu:1") == true)
        }
    }

    @Test func `wishes that contradict each other are told`() throws {
        #expect(try Self.refusal { ($0.strategy, $0.tensorParallel) = (.pipeline, 2) }.message == "tensor_parallel 2 contradicts the strategy pipeline")
        #expect(try Self.refusal { ($0.strategy, $0.pipelineParallel) = (.tensor, 2) }.message.contains("contradicts the strategy tensor"))
        #expect(try Self.refusal { ($0.strategy, $0.pipelineParallel) = (.dataParallel, 2) }.message.contains("data_parallel"))
        #expect(try Self.refusal { ($0.strategy, $0.replicas) = (.none, 2) }.message.contains("replicas 2"))
        #expect(try Self.refusal { $0.tensorParallel = 0 }.message == "tensor_parallel is 0; 1 is the least")
        #expect(try Self.refusal { ($0.modelAssignments, $0.replicas) = (["MiniLM": DeviceID(.cpu, 0)], 2) }.message.contains("assigned to cpu:0 alone"))
        let split = try Self.refusal { ($0.splits, $0.replicas) = (try SplitPoint.list("3:cpu:0,6:cpu:1", place: "test"), 2) }
        #expect(split.message.contains("make one replica of 2 stages"))
    }

    @Test func `hybrid needs four devices`() throws {
        let error = try Self.refusal(PlanDevice.several(.cpu, 3)) { $0.strategy = .hybrid }
        #expect(error.message == "hybrid needs 4 devices or more: replicas 1 x pipeline_parallel 2 x tensor_parallel 2 = 4 devices, and there are 3")
    }

    @Test func `too little memory is told as a sum, with a plan that fits where there is one`() throws {
        let model = try NetworkOutline.miniLM()
        let mebibyte = 1 << 20
        let half = PlanDevice.several(.cpu, 2, memory: 70 * mebibyte)
        let error = try Self.refusal(half) { $0.strategy = .none }
        // 40.6 MiB of layers and 45.5 MiB of table, by hand from the widths.
        #expect(error.message == "too little memory: layers 0-5 40.6 MiB + embedding 45.5 MiB = 86.1 MiB, and cpu:0 may hold 70.0 MiB")
        #expect(error.advice == "The nearest plan that works is tensor_parallel 2, pipeline_parallel 1, replicas 1: [[0,1]]"
            || error.advice == "The nearest plan that works is tensor_parallel 1, pipeline_parallel 2, replicas 1: [[0],[1]]")
        let tiny = try Self.refusal(PlanDevice.several(.cpu, 2, memory: mebibyte), model: model) { _ in }
        #expect(tiny.advice == "No plan works on cpu:0, cpu:1")
    }

    @Test func `split points that overfill a device are refused with the sum`() throws {
        let devices = PlanDevice.several(.cpu, 2, memory: 70 << 20)
        let error = try Self.refusal(devices) { $0.splits = try SplitPoint.list("5:cpu:0,6:cpu:1", place: "test") }
        #expect(error.message.contains("layers 0-4 take 79.3 MiB") && error.message.contains("cpu:0 may hold 70.0 MiB"))
        #expect(error.advice?.contains("[[0],[1]]") == true || error.advice?.contains("[[0,1]]") == true)
    }

    @Test func `outlines of impossible figures are refused`() throws {
        let widths = NetworkOutline.Widths(hidden: 8)
        let good = NetworkOutline.Layer(shardedBytes: 1, cost: 1)
        func refused(_ layers: [NetworkOutline.Layer], embedding: Int = 0, widths: NetworkOutline.Widths = widths) {
            #expect(throws: ApusError.self) {
                try NetworkOutline(name: "x", layers: layers, embedding: NetworkOutline.Part(bytes: embedding), widths: widths)
            }
        }
        refused([])
        refused([NetworkOutline.Layer(shardedBytes: -1, cost: 1)])
        refused([NetworkOutline.Layer(shardedBytes: 1, cost: .nan)])
        refused([NetworkOutline.Layer(shardedBytes: 1, cost: -1)])
        refused([NetworkOutline.Layer(shardedBytes: 1, cost: .infinity)])
        refused([good], embedding: .max)
        refused([good], widths: NetworkOutline.Widths(heads: 0, hidden: 8))
    }
}
