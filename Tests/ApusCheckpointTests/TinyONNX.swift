/// Writes ONNX models by protobuf's encoding rules, independently of the reader under test.
enum TinyONNX {
    static func varint(_ value: UInt64) -> [UInt8] {
        var value = value
        var bytes: [UInt8] = []
        while value >= 0x80 {
            bytes.append(UInt8(value & 0x7F) | 0x80)
            value >>= 7
        }
        return bytes + [UInt8(value)]
    }

    static func field(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(UInt64(content.count)) + content
    }

    static func field(_ number: UInt64, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    static func field(_ number: UInt64, _ value: UInt64) -> [UInt8] { varint(number << 3) + varint(value) }

    /// A TensorProto named "w" with the given external data.
    static func external(_ entries: [(String, String)]) -> [UInt8] {
        field(8, "w") + entries.flatMap { field(13, field(1, $0.0) + field(2, $0.1)) } + field(14, 1)
    }

    /// A NodeProto of Identity with `attributes`.
    static func node(_ attributes: [UInt8] = []) -> [UInt8] {
        field(1, "x") + field(2, "y") + field(4, "Identity") + attributes
    }

    /// A ModelProto: `graph` holds further fields of its GraphProto, `model` further fields of its own.
    static func model(nodes: Int, graph: [UInt8] = [], model: [UInt8] = []) -> [UInt8] {
        let nodes = (0..<nodes).flatMap { _ in field(1, node()) }
        return field(1, 8) + field(7, nodes + field(2, "g") + graph) + model
    }
}
