import ApusBatching
package import ApusCheckpoint
import ApusDevices
package import ApusErrors
import ApusExecution
package import ApusPlacement
import ApusTensor
import Foundation

extension NetworkOutline {
    /// Tokens of the text that attention is reckoned for; its cost a token grows with them.
    private static let textLength = 128

    /// What a plan has to know of a checkpoint, from the sizes of its tensors: no weight is read. Costs are floating-point operations a token.
    ///
    /// - Parameter name: nil for the directory's.
    package init(_ checkpoint: Checkpoint, name: String? = nil) throws(ApusError) {
        let name = name ?? checkpoint.name
        let longest = min(max(1, checkpoint.maxTokens), BatchPolicy.largestTokenBudget)
        let memory = ModelMemory(checkpoint, policy: try BatchPolicy(tokenBudget: longest), maxTokens: longest)
        let arena = memory.needs(as: ServedForm(file: .fp32), on: DeviceID(.cuda, 0), lanes: 1)[.arena] ?? 0
        let activations = arena / longest
        switch checkpoint.source {
        case .encoder(let configuration, let weights):
            try self.init(
                name: name, layers: Self.layers(configuration, weights), embedding: Self.embedding(configuration, weights),
                head: Self.head(checkpoint, configuration, longest: longest),
                widths: Widths(heads: configuration.heads, feedForward: configuration.intermediateSize, hidden: configuration.hiddenSize),
                activationBytesPerToken: activations)
        case .onnx(let file):
            // A finished network is one piece here: which of its weights belong to which layer only the engine knows.
            var bytes = 0
            for path in [file.path] + file.externalFiles {
                let (sum, overflow) = bytes.addingReportingOverflow(Self.size(path))
                bytes = overflow ? .max : sum
            }
            try self.init(
                name: name, layers: [Layer(shardedBytes: 0, replicatedBytes: bytes, cost: Double(bytes) / 2)], widths: Widths(hidden: 1),
                activationBytesPerToken: activations)
        }
    }

    /// Matrices are shared by ranks, all vectors counted as held by each: those of a layer are less than a thousandth of its weights.
    private static func layers(_ configuration: EncoderConfiguration, _ weights: WeightStore) throws(ApusError) -> [Layer] {
        let hidden = Double(configuration.hiddenSize), columns = Double(configuration.intermediateSize)
        // Two operations for each weight of six matrices, and for each pair of tokens in scores and weighted sums.
        let cost = 2 * (4 * hidden * hidden + 2 * hidden * columns) + 4 * Double(textLength) * hidden
        var layers = Array(repeating: Layer(shardedBytes: 0, cost: cost), count: configuration.layers)
        for name in weights.names {
            guard let number = layerNumber(name), layers.indices.contains(number), let tensor = weights[name] else { continue }
            if tensor.shape.count >= 2 || name.hasSuffix(".scale") {
                layers[number].shardedBytes += tensor.bytes.count
            } else {
                layers[number].replicatedBytes += tensor.bytes.count
            }
        }
        return layers
    }

    /// The number in `encoder.layer.3.…` and `transformer.layer.3.…`.
    private static func layerNumber(_ name: String) -> Int? {
        let parts = name.split(separator: ".", maxSplits: 3)
        guard parts.count == 4, parts[1] == "layer", parts[0] == "encoder" || parts[0] == "transformer" else { return nil }
        return Int(parts[2])
    }

    /// The tables, and the small one of relative positions, which later stages hold a copy of.
    private static func embedding(_ configuration: EncoderConfiguration, _ weights: WeightStore) -> Part {
        let names = weights.names.filter { $0.hasPrefix("embeddings.") || $0.hasPrefix("encoder.relative_attention_bias.") }
        // A sum of three rows and a norm, about ten operations an element.
        return Part(bytes: names.reduce(0) { $0 + (weights[$1]?.bytes.count ?? 0) }, cost: 10 * Double(configuration.hiddenSize))
    }

    /// Pooling and the dense layers, which compute once for a text.
    private static func head(_ checkpoint: Checkpoint, _ configuration: EncoderConfiguration, longest: Int) -> Part {
        var head = Part(cost: 2 * Double(configuration.hiddenSize))
        for case .dense(let dense) in checkpoint.modules {
            head.bytes += dense.weight.bytes.count + (dense.bias?.bytes.count ?? 0)
            head.cost += 2 * Double(dense.inFeatures) * Double(dense.outFeatures) / Double(min(longest, textLength))
        }
        return head
    }

    private static func size(_ path: String) -> Int {
        let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber
        return size?.intValue ?? 0
    }
}
