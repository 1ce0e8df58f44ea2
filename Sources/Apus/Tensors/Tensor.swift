public import ApusErrors
import ApusExecution
public import ApusTensor

/// A block of numbers with a shape, row-major: what models take and give.
///
/// ```swift
/// let pixels = try Tensor(shape: [3, 224, 224], .float32(values))
/// ```
public struct Tensor: Sendable, Equatable {
    /// The elements, by their type.
    public enum Elements: Sendable, Equatable {
        case float32([Float])
        case int32([Int32])
        case int64([Int64])
    }

    /// The size of every axis, outermost first; empty for a single number.
    public let shape: [Int]
    /// As many as the product of ``shape``.
    public let elements: Elements

    /// Throws `invalid_value` unless `elements` are as many as `shape` says, whose sizes are 0 or more.
    public init(shape: [Int], _ elements: Elements) throws(ApusError) {
        guard let count = ElementCount.of(shape) else {
            throw ApusError(.invalidValue, "\(shape) is no shape: a size is negative, or their product is beyond counting")
        }
        let given = HostTensor(shape, elements.lowered).count
        guard count == given else {
            throw ApusError(.invalidValue, "a tensor of shape \(shape) has \(count) elements, \(given) were given")
        }
        self.shape = shape
        self.elements = elements
    }

    /// A tensor that a model gave, which has as many elements as its shape says.
    init(_ tensor: HostTensor) {
        shape = tensor.shape
        elements =
            switch tensor.elements {
            case .float32(let values): .float32(values)
            case .int32(let values): .int32(values)
            case .int64(let values): .int64(values)
            }
    }

    public var elementType: ElementType { HostTensor(shape, elements.lowered).elementType }

    /// The elements, where they are 32-bit floating-point numbers.
    public var float32: [Float]? {
        if case .float32(let values) = elements { values } else { nil }
    }

    /// The elements, where they are 32-bit integers.
    public var int32: [Int32]? {
        if case .int32(let values) = elements { values } else { nil }
    }

    /// The elements, where they are 64-bit integers.
    public var int64: [Int64]? {
        if case .int64(let values) = elements { values } else { nil }
    }
}

extension Tensor.Elements {
    /// The same, in the same storage, as executors take them.
    var lowered: HostTensor.Elements {
        switch self {
        case .float32(let values): .float32(values)
        case .int32(let values): .int32(values)
        case .int64(let values): .int64(values)
        }
    }
}

/// An input or output of a model, as one item has it: without the axis along which items are batched.
public struct TensorDescription: Sendable, Equatable {
    public let name: String
    public let elementType: ElementType
    /// The size of every axis; nil where it may differ from item to item.
    public let shape: [Int?]
}
