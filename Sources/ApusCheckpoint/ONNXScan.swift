/// Walks an ONNX model and notes which tensors keep their data in other files.
///
/// Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
struct ONNXScan {
    /// A tensor's `external_data`, not yet judged.
    struct ExternalData {
        var tensor = ""
        /// `location`, `offset`, `length` and others, as written.
        var entries: [(key: String, value: String)] = []
    }

    private(set) var externalData: [ExternalData] = []
    private(set) var hasVersion = false
    private(set) var nodeCount = 0
    /// `TensorProto.data_type` of every tensor with data.
    private(set) var dataTypes: Set<UInt64> = []

    /// Deeper than the control flow of any real model; each level of subgraphs takes three.
    private static let depthLimit = 100

    init(_ bytes: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) {
        try walk(bytes, as: .model, depth: 0)
    }

    private enum Message {
        case model, graph, node, attribute, sparseTensor, function, training, tensor

        /// The message type of a field that can lead to a tensor.
        func child(_ field: Int) -> Message? {
            switch (self, field) {
            case (.model, 7): .graph
            case (.model, 20): .training
            case (.model, 25): .function
            case (.training, 1), (.training, 2): .graph
            case (.graph, 1), (.function, 7): .node
            case (.graph, 5): .tensor
            case (.graph, 15): .sparseTensor
            case (.node, 5), (.function, 11): .attribute
            case (.attribute, 5), (.attribute, 10): .tensor
            case (.attribute, 6), (.attribute, 11): .graph
            case (.attribute, 22), (.attribute, 23): .sparseTensor
            case (.sparseTensor, 1), (.sparseTensor, 2): .tensor
            default: nil
            }
        }
    }

    private mutating func walk(
        _ bytes: UnsafeRawBufferPointer, as message: Message, depth: Int
    ) throws(ProtobufReader.Malformed) {
        guard depth < Self.depthLimit else { throw ProtobufReader.Malformed() }
        if message == .tensor { return try readTensor(bytes) }
        if message == .node { nodeCount += 1 }
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            if message == .model, number == 1 { hasVersion = true }
            guard let child = message.child(number) else { continue }
            guard case .bytes(let content) = field else { throw ProtobufReader.Malformed() }
            try walk(content, as: child, depth: depth + 1)
        }
    }

    private mutating func readTensor(_ bytes: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) {
        var data = ExternalData()
        var isExternal = false
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (2, .number(let type)): dataTypes.insert(UInt64(type))
            case (8, .bytes(let name)): data.tensor = String(decoding: name, as: UTF8.self)
            case (13, .bytes(let entry)):
                isExternal = true
                data.entries.append(try Self.entry(entry))
            case (14, .number(let location)): isExternal = isExternal || location != 0
            case (8, _), (13, _), (14, _): throw ProtobufReader.Malformed()
            default: continue
            }
        }
        if isExternal { externalData.append(data) }
    }

    private static func entry(_ bytes: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) -> (key: String, value: String) {
        var entry = (key: "", value: "")
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            guard number <= 2 else { continue }
            guard case .bytes(let text) = field, let text = String(validating: text, as: UTF8.self) else {
                throw ProtobufReader.Malformed()
            }
            if number == 1 { entry.key = text } else { entry.value = text }
        }
        return entry
    }
}
