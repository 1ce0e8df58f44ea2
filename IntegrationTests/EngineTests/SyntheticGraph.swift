import ApusErrors
import ApusExecution
import ApusORT
import ApusRuntime
import ApusTensor

/// A small network whose steps take as much memory as their input asks for: `y = relu(x · 1/width)`, `[rows, width]` to the same.
struct SyntheticGraph: GraphSource {
    static let width = 256

    func graph(directory: String, _ part: CheckpointPart) throws(ApusError) -> DescribedGraph {
        let shape: [ValueDescription.Dimension] = [.symbolic("rows"), .fixed(Self.width)]
        let weight = [Float](repeating: 1 / Float(Self.width), count: Self.width * Self.width)
        return DescribedGraph(
            GraphDescription(
                inputs: [ValueDescription("x", .float32, shape)],
                outputs: [ValueDescription("y", .float32, shape)],
                constants: [
                    Constant("w", .float32, [Self.width, Self.width], .owned(weight.withUnsafeBytes { Array($0) }))
                ],
                nodes: [
                    Node("MatMul", inputs: ["x", "w"], outputs: ["mean"]),
                    Node("Relu", inputs: ["mean"], outputs: ["y"]),
                ]))
    }

    static func request(_ name: String = "synthetic") -> LoadRequest {
        LoadRequest(name: name, source: .checkpoint(directory: "", .network(.plainFP32)), optimization: .none)
    }

    /// Rows of `value`; the answer to it is the same tensor.
    static func input(rows: Int, value: Float = 1) -> HostTensor {
        HostTensor([rows, width], .float32([Float](repeating: value, count: rows * width)))
    }

    static func executor(
        _ device: DeviceID = DeviceID(.cpu, 0), lanes: Int = 1, memoryLimitBytes: Int? = nil,
        assignment: ExecutorSettings.Assignment = .report
    ) throws -> InProcessExecutor {
        try InProcessExecutor(
            ExecutorSettings(
                device: device, lanes: lanes, engineLibrary: TestEngine.library, memoryLimitBytes: memoryLimitBytes,
                assignment: assignment),
            graphs: SyntheticGraph())
    }
}
