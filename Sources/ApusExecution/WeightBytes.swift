/// The parts of a network that weights belong to.
package enum NetworkPart: Sendable {
    /// The tables in front of the first layer, and what is looked up for all layers.
    case embedding
    case layers
    /// Pooling and what follows it.
    case head
}

/// Bytes of weights that are loaded, by the part of the network that they belong to.
package struct WeightBytes: Sendable, Equatable {
    /// Of the layers. Of a network that came as a file all weights count here: nothing tells its parts apart.
    package var layers: Int
    /// Of the tables.
    package var embedding: Int
    /// Of what follows the layers.
    package var head: Int
    /// Those of the tables that are read where they lie in a mapped file. Their pages enter memory as rows are looked up, and are the same for
    /// all who map the file.
    package var mapped: Int

    package init(layers: Int = 0, embedding: Int = 0, head: Int = 0, mapped: Int = 0) {
        self.layers = layers
        self.embedding = embedding
        self.head = head
        self.mapped = mapped
    }

    package static func + (left: WeightBytes, right: WeightBytes) -> WeightBytes {
        WeightBytes(
            layers: left.layers &+ right.layers, embedding: left.embedding &+ right.embedding, head: left.head &+ right.head,
            mapped: left.mapped &+ right.mapped)
    }
}

extension GraphDescription {
    /// Bytes of the constants as they are given to the engine.
    package var weights: WeightBytes {
        // What is converted once at load is the engine's own afterwards.
        let converted = Set(nodes.filter { $0.operation == "Cast" && $0.domain.isEmpty }.flatMap(\.inputs))
        var sum = WeightBytes()
        for constant in constants {
            switch constant.part {
            case .layers: sum.layers += constant.byteCount
            case .head: sum.head += constant.byteCount
            case .embedding:
                sum.embedding += constant.byteCount
                if case .borrowed(let bytes) = constant.storage, !(bytes.owner is any ResidentStorage), !converted.contains(constant.name) {
                    sum.mapped += constant.byteCount
                }
            }
        }
        return sum
    }
}

extension Constant {
    fileprivate var byteCount: Int {
        switch storage {
        case .borrowed(let bytes): bytes.bytes.count
        case .owned(let bytes): bytes.count
        }
    }
}
