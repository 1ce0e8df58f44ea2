import ApusErrors
import ApusExecution
import ApusRuntime
import ApusTensor
import CApusKernels

/// Memory on a 64-byte border, as blobs of the kernels want it.
final class AlignedBytes: @unchecked Sendable {
    // Written before it is handed out.
    let pointer: UnsafeMutableRawPointer
    let count: Int

    init(count: Int) {
        pointer = .allocate(byteCount: max(1, count), alignment: 64)
        pointer.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        self.count = count
    }

    deinit { pointer.deallocate() }

    /// Packed weights `[n, k]` of a linear layer.
    static func linear(_ n: Int, _ k: Int, _ format: apus_format = APUS_FORMAT_FP32, seed: UInt64 = 1) -> AlignedBytes {
        let blob = AlignedBytes(count: apus_linear_bytes(format, Int64(n), Int64(k)))
        _ = apus_linear_begin(format, Int64(n), Int64(k), blob.pointer)
        _ = apus_linear_pack_rows(blob.pointer, 0, Int64(n), numbers(n * k, seed: seed, 0.1))
        return blob
    }

    static func table(_ rows: Int, _ width: Int, _ format: apus_format = APUS_FORMAT_FP32, seed: UInt64 = 1) -> AlignedBytes {
        let blob = AlignedBytes(count: apus_table_bytes(format, Int64(rows), Int64(width)))
        _ = apus_table_begin(format, Int64(rows), Int64(width), blob.pointer)
        _ = apus_table_pack_rows(blob.pointer, 0, Int64(rows), numbers(rows * width, seed: seed))
        return blob
    }

    func constant(_ name: String) -> Constant {
        Constant(name, .uint8, [count], .borrowed(ConstantBytes(UnsafeRawBufferPointer(start: pointer, count: count), owner: self)))
    }
}

/// Numbers in -size ..< size, always the same for a seed.
func numbers(_ count: Int, seed: UInt64, _ size: Float = 1) -> [Float] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return (Float(state >> 40) / Float(1 << 23) - 1) * size
    }
}

func constant(_ name: String, _ values: [Float], _ shape: [Int]? = nil) -> Constant {
    Constant(name, .float32, shape ?? [values.count], .owned(values.withUnsafeBytes { Array($0) }))
}

/// A graph that is handed over as it is.
struct GivenGraph: GraphSource {
    var description: GraphDescription

    func graph(directory: String, _ part: CheckpointPart) throws(ApusError) -> DescribedGraph {
        DescribedGraph(description)
    }

    func load(lanes: Int = 1) async throws -> any LoadedModel {
        try await executor(lanes: lanes).load(Self.request)
    }

    func executor(lanes: Int = 1) throws -> InProcessExecutor {
        try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: lanes, engineLibrary: TestEngine.library), graphs: self)
    }

    static let request = LoadRequest(name: "operator", source: .checkpoint(directory: "", .network(.plainFP32)))
}

/// One operator of Apus's own in a graph of its own: operands are the graph's constants or the run's tensors.
struct OperatorNode {
    /// Tokens of two sequences, and the sizes of a small layer.
    static let (tokens, width, inner, heads) = (7, 64, 128, 4)
    static let starts: [Int32] = [0, 5, 7]

    var operation: String
    var attributes: [String: Node.Attribute]
    /// The names of the node's operands; empty ones are left out.
    var operands: [String]
    var constants: [Constant]
    var inputs: [String: HostTensor]

    var graph: GivenGraph {
        let described = inputs.keys.sorted().compactMap { name in
            inputs[name].map { tensor in
                ValueDescription(name, tensor.elementType, tensor.shape.indices.map { .symbolic("\(name)_\($0)") })
            }
        }
        return GivenGraph(
            description: GraphDescription(
                inputs: described, outputs: [ValueDescription("y", .float32, [.symbolic("rows"), .symbolic("columns")])],
                constants: constants,
                nodes: [Node(operation, domain: "apus", inputs: operands, outputs: ["y"], attributes: attributes)]))
    }

    func run() async throws -> HostTensor {
        try await graph.load().run(inputs, output: 0, memory: .kept)
    }

    static func x(rows: Int = tokens, columns: Int = width) -> HostTensor {
        HostTensor([rows, columns], .float32(numbers(rows * columns, seed: 9)))
    }

    static func integers(_ values: [Int32], _ shape: [Int]? = nil) -> HostTensor {
        HostTensor(shape ?? [values.count], .int32(values))
    }

    static let gamma = numbers(width, seed: 21)
    static let beta = numbers(width, seed: 22)

    static func linear(_ packed: AlignedBytes, bias: [Float]? = nil, activation: String = "gelu") -> OperatorNode {
        OperatorNode(
            operation: "Linear", attributes: ["activation": .string(activation)],
            operands: ["x", "packed"] + (bias == nil ? [] : ["bias"]),
            constants: [packed.constant("packed")] + (bias.map { [constant("bias", $0)] } ?? []), inputs: ["x": x()])
    }

    static func feedForward(_ up: AlignedBytes, _ down: AlignedBytes, upBias: [Float], downBias: [Float]) -> OperatorNode {
        OperatorNode(
            operation: "FeedForward", attributes: ["activation": .string("gelu"), "epsilon": .float(1e-5)],
            operands: ["x", "up", "up_bias", "down", "down_bias", "gamma", "beta"],
            constants: [
                up.constant("up"), constant("up_bias", upBias), down.constant("down"), constant("down_bias", downBias),
                constant("gamma", gamma), constant("beta", beta),
            ],
            inputs: ["x": x()])
    }

    static func selfAttention(
        _ qkv: AlignedBytes, _ out: AlignedBytes, qkvBias: [Float], outBias: [Float], relativeBias: [Float]? = nil, size: Int = 8
    ) -> OperatorNode {
        OperatorNode(
            operation: "SelfAttention",
            attributes: ["heads": .int(Int64(heads)), "scale": .float(0.25), "epsilon": .float(1e-5)],
            operands: ["x", "starts", "qkv", "qkv_bias", "out", "out_bias", "gamma", "beta"] + (relativeBias == nil ? [] : ["relative"]),
            constants: [
                qkv.constant("qkv"), constant("qkv_bias", qkvBias), out.constant("out"), constant("out_bias", outBias),
                constant("gamma", gamma), constant("beta", beta),
            ] + (relativeBias.map { [constant("relative", $0, [1, heads, size, size])] } ?? []),
            inputs: ["x": x(), "starts": integers(starts)])
    }

    static func embed(
        _ words: AlignedBytes, _ positions: AlignedBytes, types: AlignedBytes?, ids: [Int32], types typeIDs: [Int32]
    ) -> OperatorNode {
        let places = (0..<ids.count).map { Int32($0) }
        var node = OperatorNode(
            operation: "Embed", attributes: ["epsilon": .float(1e-5)],
            operands: ["words", "positions", "", "gamma", "beta", "input_ids", "position_ids"],
            constants: [words.constant("words"), positions.constant("positions"), constant("gamma", gamma), constant("beta", beta)],
            inputs: ["input_ids": integers(ids, [1, ids.count]), "position_ids": integers(places, [1, ids.count])])
        if let types {
            node.operands[2] = "types"
            node.operands.append("token_type_ids")
            node.constants.append(types.constant("types"))
            node.inputs["token_type_ids"] = integers(typeIDs, [1, ids.count])
        }
        return node
    }

    static func pool(_ mode: String) -> OperatorNode {
        OperatorNode(
            operation: "Pool", attributes: ["mode": .string(mode)], operands: ["x", "starts"], constants: [],
            inputs: ["x": x(), "starts": integers(starts)])
    }
}
