import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// Writes a graph node by node. Values are known by the names of the tensors that carry them.
struct GraphWriter {
    /// The name of a tensor in the graph being written.
    struct Value: Equatable {
        let name: String

        /// Leaves an optional input out.
        static let none = Value(name: "")
    }

    let form: NetworkForm
    private(set) var graph = GraphDescription()
    private var constantNames: Set<String> = []
    private var nodeCount = 0

    init(_ form: NetworkForm) {
        self.form = form
    }

    var style: GraphStyle { form.style }

    mutating func input(_ name: String, _ elementType: ElementType, _ shape: [ValueDescription.Dimension]) -> Value {
        if !graph.inputs.contains(where: { $0.name == name }) {
            graph.inputs.append(ValueDescription(name, elementType, shape))
        }
        return Value(name: name)
    }

    mutating func output(_ value: Value, named name: String, _ elementType: ElementType, _ shape: [ValueDescription.Dimension]) {
        graph.nodes.append(Node("Identity", inputs: [value.name], outputs: [name]))
        graph.outputs.append(ValueDescription(name, elementType, shape))
    }

    /// Applies an operator and hands out its first result. `results` are those that the operator must have.
    mutating func apply(
        _ operation: String, domain: Domain = .standard, _ inputs: [Value], _ attributes: [String: Node.Attribute] = [:],
        results: Int = 1
    ) -> Value {
        nodeCount += 1
        let name = "t\(nodeCount)"
        let others = (1..<max(1, results)).map { "\(name).\($0)" }
        graph.nodes.append(
            Node(
                operation, domain: domain.rawValue, inputs: inputs.map(\.name), outputs: [name] + others,
                attributes: attributes))
        return Value(name: name)
    }

    enum Domain: String {
        case standard = ""
        case microsoft = "com.microsoft"
    }

    mutating func literal(_ values: [Int64]) -> Value {
        let name = "i64:" + values.map(String.init).joined(separator: ",")
        return constant(name, .int64, [values.count], values.withUnsafeBytes { Array($0) })
    }

    mutating func literal(_ value: Float) -> Value {
        constant("f32:\(value)", .float32, [], withUnsafeBytes(of: value) { Array($0) })
    }

    /// A weight of the checkpoint as fp32, read from where it is mapped. The engine folds the conversion of other types at load.
    mutating func weight(_ view: TensorView) -> Value {
        if constantNames.insert(view.name).inserted {
            // safetensors does not promise that a tensor starts at a multiple of its element's size; kernels want it.
            let aligned = UInt(bitPattern: view.bytes.baseAddress) % UInt(view.elementType.byteCount) == 0
            let storage: Constant.Storage =
                aligned ? .borrowed(ConstantBytes(view.bytes, owner: view.owner)) : .owned(Array(view.bytes))
            graph.constants.append(Constant(view.name, view.elementType, view.shape, storage))
        }
        let stored = Value(name: view.name)
        guard view.elementType != .float32 else { return stored }
        return apply("Cast", [stored], ["to": .int(Int64(ElementType.float32.rawValue))])
    }

    private mutating func constant(_ name: String, _ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) -> Value {
        if constantNames.insert(name).inserted {
            graph.constants.append(Constant(name, type, shape, .owned(bytes)))
        }
        return Value(name: name)
    }
}
