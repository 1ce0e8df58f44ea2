import ApusErrors
import ApusExecution
import ApusORT

extension GraphDescription {
    /// Borrowed constants of fewer bytes are copied: the engine takes memory of others only above this size.
    private static let smallestBorrowedConstant = 128

    /// Hands the graph to the engine.
    func lowered(_ engine: Engine, options: borrowing SessionOptions) throws(ApusError) -> Session {
        var builder = try ModelBuilder.open(engine)
        for input in inputs {
            try builder.addInput(input.name, input.elementType, input.sizes, symbols: input.symbols)
        }
        for output in outputs {
            try builder.addOutput(output.name, output.elementType, output.sizes, symbols: output.symbols)
        }
        for constant in constants { try constant.add(to: &builder, borrowAbove: Self.smallestBorrowedConstant) }
        for (index, node) in nodes.enumerated() {
            try builder.addNode(
                node.operation, domain: node.domain, name: "\(index)-\(node.operation)", inputs: node.inputs,
                outputs: node.outputs,
                attributes: node.attributes.sorted { $0.key < $1.key }.map { ($0.key, $0.value.lowered) })
        }
        return try builder.finish(options: options)
    }
}

extension Constant {
    fileprivate func add(to builder: inout ModelBuilder, borrowAbove limit: Int) throws(ApusError) {
        switch storage {
        case .borrowed(let source) where source.bytes.count >= limit:
            try builder.addConstant(name, elementType, shape, borrowing: source.bytes, from: source.owner)
        case .borrowed(let source):
            try builder.addConstant(name, elementType, shape, copying: source.bytes)
        case .owned(let bytes):
            var failure: ApusError?
            bytes.withUnsafeBytes { raw in
                do throws(ApusError) {
                    try builder.addConstant(name, elementType, shape, copying: raw)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
    }
}

extension Node.Attribute {
    fileprivate var lowered: NodeAttribute {
        switch self {
        case .int(let value): .int(value)
        case .ints(let values): .ints(values)
        case .float(let value): .float(value)
        case .string(let text): .string(text)
        }
    }
}

extension ValueDescription {
    fileprivate var sizes: [Int?] {
        shape.map { if case .fixed(let size) = $0 { size } else { nil } }
    }

    fileprivate var symbols: [String] {
        shape.map { if case .symbolic(let name) = $0 { name } else { "" } }
    }
}
