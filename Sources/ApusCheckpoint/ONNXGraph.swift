package import ApusErrors
import ApusTensor

/// The network of an ONNX file as nodes that take and make values: what is needed to cut it, and to write a part of it as a model of its own.
///
/// Holds places in the mapped file, no weights. Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
package struct ONNXGraph: Sendable {
    /// A value by its number: names are compared byte by byte, once.
    typealias Value = Int

    struct Node: Sendable {
        /// Where the file has it, its tag included.
        var place: Range<Int>
        /// What it takes, its subgraphs included, from this graph.
        var takes: [Value]
        var makes: [Value]
        /// Whether it computes the same in every step, from weights alone: such nodes are in every part that needs them.
        var isFixed = false
        /// Whether it tells of its input nothing but the shape.
        var readsShape = false
        /// Whether it draws at random.
        var isRandom = false
        /// Whether it reads rows of a table, not all of it.
        var looksUp = false
    }

    /// An input, an output, a weight or a description of a value.
    struct Entry: Sendable {
        var value: Value
        /// Where the file has it, its tag included.
        var place: Range<Int>
        /// Of a weight.
        var byteCount = 0
    }

    let file: MappedFile
    var names: [[UInt8]] = []
    var nodes: [Node] = []
    var inputs: [Entry] = []
    var outputs: [Entry] = []
    var weights: [Value: Entry] = [:]
    var descriptions: [Entry] = []
    /// Fields of the graph, and of the model around it, that every part has as they are.
    var rest: [Range<Int>] = []
    var around: [Range<Int>] = []
    /// The node that makes a value; nil for inputs and weights.
    var makers: [Int?] = []
    /// The last node that takes a value and is not fixed; -1 where there is none.
    var lastUses: [Int] = []
    /// Whether every node comes behind those whose values it takes, as the standard wants it.
    var isOrdered = true

    /// Reads the structure of a file that ``ONNXFile`` has checked.
    ///
    /// - Throws: `.fileUnreadable` and `.invalidCheckpoint`.
    package init(_ onnx: ONNXFile) throws(ApusError) {
        try self.init(path: onnx.path)
    }

    package init(path: String) throws(ApusError) {
        file = try MappedFile(path: path)
        do throws(ProtobufReader.Malformed) {
            try read()
        } catch {
            throw ApusError(.invalidCheckpoint, "the file is no ONNX model, or cut short", place: path)
        }
        relate()
        file.releasePages()
    }

    package var nodeCount: Int { nodes.count }
    package var path: String { file.path }

    func name(_ value: Value) -> String { String(decoding: names[value], as: UTF8.self) }

    func isOutput(_ value: Value) -> Bool { outputs.contains { $0.value == value } }

    /// Finds out who makes and who takes which value, and which nodes are fixed.
    private mutating func relate() {
        makers = Array(repeating: nil, count: names.count)
        lastUses = Array(repeating: -1, count: names.count)
        for (number, node) in nodes.enumerated() {
            for value in node.makes { makers[value] = number }
        }
        let given = Set(inputs.map(\.value)).subtracting(weights.keys)
        for number in nodes.indices {
            var isFixed = !nodes[number].isRandom
            for value in nodes[number].takes {
                if let maker = makers[value] {
                    if maker >= number { isOrdered = false }
                    if !nodes[maker].isFixed { isFixed = false }
                } else if given.contains(value) {
                    isFixed = false
                }
            }
            nodes[number].isFixed = isFixed
            if !isFixed { for value in nodes[number].takes { lastUses[value] = number } }
        }
    }
}
