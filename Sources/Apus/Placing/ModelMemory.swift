import ApusBatching
import ApusCheckpoint
import ApusDevices
import ApusExecution
import ApusScheduling
import ApusTensor
import Foundation

/// What a model takes of a device's memory: estimates that err on the side of more, made before anything is loaded.
struct ModelMemory: Sendable, Equatable {
    /// Bytes of all weights as they are stored.
    let weights: Int
    /// Bytes of the matrices of linear layers, which CPUs keep once more in the order that their products read them in.
    let linear: Int
    /// Bytes that one lane computes in for each token of its batch.
    private let workingBytesPerToken: Double
    private let maxTokens: Int
    /// Tokens of a batch where the policy names them.
    private let tokenBudget: Int?

    init(_ checkpoint: Checkpoint, policy: BatchPolicy, maxTokens: Int) {
        self.maxTokens = maxTokens
        tokenBudget = policy.tokenBudget
        var (weights, linear) = (0, 0)
        switch checkpoint.source {
        case .encoder(let configuration, let store):
            for name in store.names {
                guard let tensor = store[name] else { continue }
                weights += tensor.bytes.count
                // Tables are looked up, not multiplied with.
                if tensor.shape.count == 2, !name.contains("embeddings") { linear += tensor.bytes.count }
            }
            workingBytesPerToken = Self.working(
                longest: maxTokens, hidden: configuration.hiddenSize, intermediate: configuration.intermediateSize, heads: configuration.heads)
        case .onnx(let file):
            for path in [file.path] + file.externalFiles { weights += Self.size(path) }
            // Which tensors are matrices, and how wide layers are, is known to the engine alone: all of them, and as if for a large encoder.
            linear = weights
            workingBytesPerToken = Self.working(longest: maxTokens, hidden: 1_024, intermediate: 4_096, heads: 16)
        }
        for case .dense(let dense) in checkpoint.modules { weights += dense.weight.bytes.count }
        self.weights = weights
        self.linear = linear
    }

    /// A model of any tensors.
    ///
    /// - Parameters:
    ///   - itemBytes: bytes that a step computes in for each item of its batch.
    ///   - batch: items of the largest batch.
    init(_ file: ONNXFile, itemBytes: Int, batch: Int) {
        weights = ([file.path] + file.externalFiles).reduce(0) { $0 + Self.size($1) }
        // Which weights are packed once more is known to the engine alone.
        linear = weights
        workingBytesPerToken = Double(itemBytes)
        maxTokens = batch
        tokenBudget = batch
    }

    /// What it takes of `device` with this number of lanes.
    func needs(on device: DeviceID, lanes: Int) -> [MemoryLedger.Purpose: Int] {
        let computesOnCPU = device.kind == .cpu || device.kind == .sim
        // Steps of an accelerator come one after the other whatever lane they are from.
        let steps = computesOnCPU ? lanes : 1
        let tokens = max(tokenBudget ?? device.kind.tokenBudget, maxTokens)
        let arena = Int(exactly: (workingBytesPerToken * Double(tokens) * Double(max(1, steps))).rounded()) ?? .max
        return [.weights: computesOnCPU ? weights + linear : weights, .arena: arena]
    }

    /// Activations in fp32 of one layer, which the next reuses: input, queries, keys, values, context, output and two rows to spare of the
    /// hidden width, the feed-forward part before and after its activation, and the attention scores before and after softmax.
    private static func working(longest: Int, hidden: Int, intermediate: Int, heads: Int) -> Double {
        let wide = 8.0 * Double(hidden) + 2.0 * Double(intermediate)
        let scores = 2.0 * Double(heads) * Double(longest)
        return 4 * (wide + scores)
    }

    private static func size(_ path: String) -> Int {
        let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber
        return size?.intValue ?? 0
    }
}
