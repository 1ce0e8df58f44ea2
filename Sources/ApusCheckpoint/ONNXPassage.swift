package import ApusTensor

/// A value on its way from one part of a network to another: in its own type, or in a wider one that tensors between parts have, where it is as
/// exact.
package struct ONNXPassage: Sendable, Equatable {
    /// The value's name in the file.
    package let value: String
    /// What it is there.
    package let type: ElementType
    /// What it crosses as.
    package let carrier: ElementType

    private static let prefix = "apus.carried."

    /// Nil for a type that no other is as exact as.
    package init?(_ value: String, _ type: ElementType) {
        guard let carrier = Self.carrier(of: type) else { return nil }
        self.value = value
        self.type = type
        self.carrier = carrier
    }

    /// Reads what ``name`` gives, for a tensor of `carrier`.
    package init(crossing name: String, _ carrier: ElementType) {
        self.carrier = carrier
        let parts = name.utf8.starts(with: Self.prefix.utf8) ? name.dropFirst(Self.prefix.count).split(separator: ".", maxSplits: 1) : []
        if parts.count == 2, let type = Int32(parts[0]).flatMap(ElementType.init(rawValue:)), Self.carrier(of: type) == carrier {
            (value, self.type) = (String(parts[1]), type)
        } else {
            (value, type) = (name, carrier)
        }
    }

    /// What it is called while it crosses: another name than in the file where it is of another type.
    package var name: String { isConverted ? "\(Self.prefix)\(type.rawValue).\(value)" : value }

    package var isConverted: Bool { type != carrier }

    private static func carrier(of type: ElementType) -> ElementType? {
        switch type {
        case .float32, .int32, .int64: type
        case .float16, .bfloat16: .float32
        case .bool, .uint8, .int8, .uint16, .int16: .int32
        case .uint32: .int64
        case .float64, .uint64: nil
        }
    }
}
