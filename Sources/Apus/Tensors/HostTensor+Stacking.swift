import ApusErrors
import ApusExecution
import ApusTensor

extension HostTensor {
    /// `items`, which are of one type and shape, one behind the other along a new first axis, in storage of `buffers`. Throws `invalid_value` when they are not, or too
    /// large together.
    static func stacking(_ items: [HostTensor], in buffers: SharedBuffers = .none, place: String) throws(ApusError) -> HostTensor {
        guard let first = items.first, items.allSatisfy({ $0.shape == first.shape && $0.elementType == first.elementType }),
            let count = ElementCount.of([items.count] + first.shape)
        else {
            throw ApusError(.invalidValue, "\(items.count) items are not of one type and shape, or too large together", place: place)
        }
        let elements: Elements =
            switch first.elements {
            case .float32: .float32(Self.joined(items, count, buffers) { if case .float32(let values) = $0 { values } else { [] } })
            case .int32: .int32(Self.joined(items, count, buffers) { if case .int32(let values) = $0 { values } else { [] } })
            case .int64: .int64(Self.joined(items, count, buffers) { if case .int64(let values) = $0 { values } else { [] } })
            }
        return HostTensor([items.count] + first.shape, elements)
    }

    /// The `count` parts along the first axis, which is gone from them; nil when there are not as many.
    func unstacked(_ count: Int) -> [HostTensor]? {
        let shape = Array(shape.dropFirst())
        guard self.shape.first == count, let size = ElementCount.of(shape), ElementCount.of(self.shape) == self.count else { return nil }
        return (0..<count).map { row in
            let range = row * size..<(row + 1) * size
            return switch elements {
            case .float32(let values): HostTensor(shape, .float32(Array(values[range])))
            case .int32(let values): HostTensor(shape, .int32(Array(values[range])))
            case .int64(let values): HostTensor(shape, .int64(Array(values[range])))
            }
        }
    }

    private static func joined<Element: PooledElement>(
        _ items: [HostTensor], _ count: Int, _ buffers: SharedBuffers, _ values: (Elements) -> [Element]
    ) -> [Element] {
        var joined: [Element] = buffers.storage(for: count)
        for item in items { joined += values(item.elements) }
        return joined
    }
}
