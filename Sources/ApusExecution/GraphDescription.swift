package import ApusTensor

/// A network as data: what an executor has to run, before any engine has seen it.
///
/// The language is ONNX: node names, domains and attributes are those of the ONNX standard and of ONNX Runtime's
/// `com.microsoft` domain.
package struct GraphDescription: Sendable {
    package var inputs: [ValueDescription]
    package var outputs: [ValueDescription]
    package var constants: [Constant]
    package var nodes: [Node]

    package init(
        inputs: [ValueDescription] = [],
        outputs: [ValueDescription] = [],
        constants: [Constant] = [],
        nodes: [Node] = []
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.constants = constants
        self.nodes = nodes
    }
}

/// A named input or output of a graph.
package struct ValueDescription: Sendable, Equatable {
    package enum Dimension: Sendable, Equatable {
        case fixed(Int)
        /// Known only when a step runs. Dimensions of one name are equal within a step.
        case symbolic(String)
    }

    package var name: String
    package var elementType: ElementType
    package var shape: [Dimension]

    package init(_ name: String, _ elementType: ElementType, _ shape: [Dimension]) {
        self.name = name
        self.elementType = elementType
        self.shape = shape
    }
}

/// A tensor that belongs to the graph: a weight or a small literal.
package struct Constant: Sendable {
    package enum Storage: Sendable {
        /// Bytes that live elsewhere, typically a mapped weight file. They are not copied and stay valid as long as `owner`.
        case borrowed(ConstantBytes)
        case owned([UInt8])
    }

    package var name: String
    package var elementType: ElementType
    package var shape: [Int]
    package var storage: Storage
    /// The part of the network that it belongs to.
    package var part: NetworkPart

    package init(_ name: String, _ elementType: ElementType, _ shape: [Int], _ storage: Storage, of part: NetworkPart = .layers) {
        self.name = name
        self.part = part
        self.elementType = elementType
        self.shape = shape
        self.storage = storage
    }
}

/// What keeps constants alive in memory of this process's own, which the engine's allocators do not count: not a mapped file.
package protocol ResidentStorage: AnyObject, Sendable {
    /// Bytes of it.
    var residentBytes: Int { get }
}

extension GraphDescription {
    /// Bytes of borrowed constants that lie in memory of this process's own, each storage once however many constants lie in it.
    package var residentBytes: Int {
        var storages: [ObjectIdentifier: Int] = [:]
        for constant in constants {
            guard case .borrowed(let bytes) = constant.storage, let storage = bytes.owner as? any ResidentStorage else { continue }
            storages[ObjectIdentifier(storage)] = storage.residentBytes
        }
        return storages.values.reduce(0) { $0 &+ $1 }
    }
}

/// Immutable bytes together with what keeps them alive.
package struct ConstantBytes: @unchecked Sendable {
    // The bytes are never written after the owner handed them out, so sharing the pointer is safe.
    package let bytes: UnsafeRawBufferPointer
    package let owner: any AnyObject & Sendable

    package init(_ bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable) {
        self.bytes = bytes
        self.owner = owner
    }
}

/// One operator of a graph.
package struct Node: Sendable {
    package enum Attribute: Sendable, Equatable {
        case int(Int64)
        case ints([Int64])
        case float(Float)
        case string(String)
    }

    package var operation: String
    /// Empty for the ONNX standard domain.
    package var domain: String
    /// An empty name leaves an optional input out.
    package var inputs: [String]
    package var outputs: [String]
    package var attributes: [String: Attribute]

    package init(
        _ operation: String,
        domain: String = "",
        inputs: [String],
        outputs: [String],
        attributes: [String: Attribute] = [:]
    ) {
        self.operation = operation
        self.domain = domain
        self.inputs = inputs
        self.outputs = outputs
        self.attributes = attributes
    }
}
