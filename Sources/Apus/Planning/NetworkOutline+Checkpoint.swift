import ApusBatching
package import ApusCheckpoint
import ApusDevices
package import ApusErrors
import ApusExecution
package import ApusPlacement
import ApusTensor

extension NetworkOutline {
    /// Tokens of the text that attention is reckoned for; its cost a token grows with them.
    private static let textLength = 128

    /// What a plan has to know of a checkpoint, from the sizes of its tensors: no weight is read. Costs are floating-point operations a token.
    ///
    /// - Parameters:
    ///   - name: nil for the directory's.
    ///   - cuts: tensors behind which a network that came as a file is cut; without any, wherever one tensor alone separates its parts. Throws
    ///     `unsupported_plan`, with the nearest cut that works, for those behind which it cannot be cut.
    package init(_ checkpoint: Checkpoint, name: String? = nil, cuts: [String] = []) throws(ApusError) {
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
            try self.init(file, try file.pieces(cuts), name: name, activationBytesPerToken: activations)
        }
    }

    /// What a plan has to know of a network that came as a file: its pieces are the layers. Costs are operations of products, two for each weight that
    /// is used once.
    package init(_ file: ONNXFile, _ pieces: [ONNXGraph.Piece], name: String, activationBytesPerToken: Int = 0) throws(ApusError) {
        let layers = pieces.map { piece in
            // Nodes without weights compute, too: little beside those with them, and something where there are no others.
            Layer(shardedBytes: 0, replicatedBytes: piece.bytes, cost: Double(piece.computedBytes) / 2 + Double(piece.nodes.count))
        }
        try self.init(
            name: name, layers: layers, widths: Widths(hidden: 1), activationBytesPerToken: activationBytesPerToken,
            cutTensors: pieces.compactMap { $0.cut?.tensor })
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
}

extension ONNXFile {
    /// The pieces of the network that stages are made of: what lies between `tensors`, or where there are none between all tensors that alone separate
    /// what is in front of them from what follows.
    package func pieces(_ tensors: [String]) throws(ApusError) -> [ONNXGraph.Piece] {
        let graph = try ONNXGraph(self)
        return graph.pieces(tensors.isEmpty ? graph.cuts : try graph.cuts(behind: tensors))
    }
}
