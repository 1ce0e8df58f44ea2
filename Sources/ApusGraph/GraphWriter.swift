import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor
import CApusKernels

/// Writes a graph node by node. Values are known by the names of the tensors that carry them.
struct GraphWriter {
    /// The name of a tensor in the graph being written.
    struct Value: Equatable {
        let name: String

        /// Leaves an optional input out.
        static let none = Value(name: "")
    }

    let form: NetworkForm
    /// What activations are at this place of the graph.
    private(set) var activationType: ElementType
    private(set) var graph = GraphDescription()
    /// What constants belong to that are added now.
    var part = NetworkPart.layers
    private var constantNames: Set<String> = []
    private var nodeCount = 0

    init(_ form: NetworkForm) {
        self.form = form
        activationType = form.activationType
    }

    /// The format of the kernels' weights; nil for other styles.
    var format: apus_format? { form.kernelFormat }

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
        /// Apus' own operators.
        case apus
    }

    mutating func literal(_ values: [Int64]) -> Value {
        let name = "i64:" + values.map(String.init).joined(separator: ",")
        return constant(name, .int64, [values.count], values.withUnsafeBytes { Array($0) })
    }

    mutating func literal(_ value: Float) -> Value {
        inActivationType(constant("f32:\(value)", .float32, [], withUnsafeBytes(of: value) { Array($0) }), from: .float32)
    }

    /// Ends arithmetic in 16 bits: `x` and all that follows are fp32.
    mutating func widened(_ x: Value) -> Value {
        let type = activationType
        activationType = .float32
        return inActivationType(x, from: type)
    }

    /// `x` in the type that activations have here.
    mutating func inActivationType(_ x: Value, from type: ElementType) -> Value {
        guard type != activationType else { return x }
        return apply("Cast", [x], ["to": .int(Int64(activationType.rawValue))])
    }

    /// Adds a constant whose bytes belong to `owner`, once for each name.
    mutating func constant(
        _ name: String, _ elementType: ElementType, _ shape: [Int], _ bytes: () throws(ApusError) -> Constant.Storage
    ) throws(ApusError) -> Value {
        if !constantNames.contains(name) {
            graph.constants.append(Constant(name, elementType, shape, try bytes(), of: part))
            constantNames.insert(name)
        }
        return Value(name: name)
    }

    /// A weight of the checkpoint in the type of activations, read from where it is mapped. The engine folds the conversion of other types
    /// at load.
    mutating func weight(_ view: TensorView) -> Value {
        if constantNames.insert(view.name).inserted {
            // safetensors does not promise that a tensor starts at a multiple of its element's size; kernels want it.
            let aligned = UInt(bitPattern: view.bytes.baseAddress) % UInt(view.elementType.byteCount) == 0
            let storage: Constant.Storage =
                aligned ? .borrowed(ConstantBytes(view.bytes, owner: view.owner)) : .owned(Array(view.bytes))
            graph.constants.append(Constant(view.name, view.elementType, view.shape, storage, of: part))
        }
        return inActivationType(Value(name: view.name), from: view.elementType)
    }

    /// The states that the slice before this one ended with, in the type of activations.
    mutating func hiddenStates(width: Int) -> Value {
        inActivationType(
            input(EncoderGraph.hiddenInput, .float32, [.symbolic("T"), .fixed(width)]), from: .float32)
    }

    /// The same for a matrix. Quantised ones are computed as fp32.
    mutating func matrix(_ matrix: WeightMatrix) throws(ApusError) -> Value {
        if case .floats(let view) = matrix.storage { return weight(view) }
        let value = try constant(matrix.name, .float32, [matrix.rows, matrix.columns]) { () throws(ApusError) in
            .borrowed(try PackedWeights.floats(matrix))
        }
        return inActivationType(value, from: .float32)
    }

    private mutating func constant(_ name: String, _ type: ElementType, _ shape: [Int], _ bytes: [UInt8]) -> Value {
        if constantNames.insert(name).inserted {
            graph.constants.append(Constant(name, type, shape, .owned(bytes), of: part))
        }
        return Value(name: name)
    }
}
