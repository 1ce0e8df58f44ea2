package import ApusTensor

/// A tensor in the memory of the host, row-major, handed by value.
package struct HostTensor: Sendable, Equatable {
    /// The elements, typed as the engines take them.
    package enum Elements: Sendable, Equatable {
        case float32([Float])
        case int32([Int32])
        case int64([Int64])
    }

    package var shape: [Int]
    package var elements: Elements

    package init(_ shape: [Int], _ elements: Elements) {
        self.shape = shape
        self.elements = elements
    }

    package var elementType: ElementType {
        switch elements {
        case .float32: .float32
        case .int32: .int32
        case .int64: .int64
        }
    }

    /// The number of elements stored, which equals the product of ``shape`` in a valid tensor.
    package var count: Int {
        switch elements {
        case .float32(let values): values.count
        case .int32(let values): values.count
        case .int64(let values): values.count
        }
    }

    /// Bytes of the elements stored.
    package var byteCount: Int {
        switch elements {
        case .float32(let values): values.count * MemoryLayout<Float>.stride
        case .int32(let values): values.count * MemoryLayout<Int32>.stride
        case .int64(let values): values.count * MemoryLayout<Int64>.stride
        }
    }

    package var float32: [Float]? {
        if case .float32(let values) = elements { values } else { nil }
    }
}
