import ApusBatching
import ApusCheckpoint
import ApusDevices
import ApusExecution
import ApusGraph
import ApusScheduling
import ApusTensor
import Foundation

/// What a model takes of a device's memory: estimates that err on the side of more, made before anything is loaded.
struct ModelMemory: Sendable, Equatable {
    /// Bytes of all weights as they are stored.
    let weights: Int
    /// Whether they are kept as they are stored, whatever the form.
    private let areQuantized: Bool
    /// Those of them that are tables of embeddings.
    private let tables: Int
    /// Whether networks in fp32 on a CPU can look rows up in them where they lie in the file.
    private let canMapTables: Bool
    /// Bytes that CPUs hold once more: matrices in the order that products read them in, beside the originals.
    let packedBeside: Int
    /// Bytes that one lane computes in for each token of its batch.
    private let workingBytesPerToken: Double
    /// Those of them that ranks of a group share among them.
    private let sharedBytesPerToken: Double
    /// The same as ``workingBytesPerToken`` for a graph of Apus' own operators.
    private let kernelBytesPerToken: Double
    let maxTokens: Int
    /// Tokens of a batch where the policy names them.
    let tokenBudget: Int?
    /// Bytes of each layer's weights as they are stored, as ``EncoderSegments`` counts them; empty for networks that cannot be cut.
    let layers: [Int]
    /// Elements of a token's hidden state; 0 for networks that cannot be cut.
    let hidden: Int

    init(_ checkpoint: Checkpoint, policy: BatchPolicy, maxTokens: Int) {
        self.maxTokens = maxTokens
        tokenBudget = policy.tokenBudget
        var (weights, tables, areFP32) = (0, 0, true)
        switch checkpoint.source {
        case .encoder(let configuration, let store):
            for name in store.names {
                let bytes = store[name]?.bytes.count ?? 0
                weights += bytes
                guard name.contains("embeddings") else { continue }
                tables += bytes
                // Beside the tables older files have the numbers of the positions.
                areFP32 = areFP32 && (store[name]?.elementType == .float32 || store[name]?.elementType == .int64)
            }
            // The originals of packed matrices lie in the mapped file, whose pages are given back once they were read.
            packedBeside = 0
            hidden = configuration.hiddenSize
            sharedBytesPerToken = Self.shared(
                longest: maxTokens, intermediate: configuration.intermediateSize, heads: configuration.heads)
            workingBytesPerToken = Self.rows(hidden: configuration.hiddenSize) + sharedBytesPerToken
            kernelBytesPerToken = 4 * Self.kernelRows * Double(configuration.hiddenSize)
        case .onnx(let file):
            for path in [file.path] + file.externalFiles { weights += Self.size(path) }
            // Which tensors are matrices, and how wide layers are, is known to the engine alone: all of them, and as if for a large encoder.
            packedBeside = weights
            hidden = 0
            sharedBytesPerToken = 0
            workingBytesPerToken = Self.rows(hidden: 1_024) + Self.shared(longest: maxTokens, intermediate: 4_096, heads: 16)
            kernelBytesPerToken = workingBytesPerToken
        }
        for case .dense(let dense) in checkpoint.modules { weights += dense.weight.bytes.count }
        self.weights = weights
        self.tables = tables
        canMapTables = areFP32
        layers = EncoderSegments.layers(checkpoint)
        areQuantized = checkpoint.quantization != nil
    }

    /// A model of any tensors.
    ///
    /// - Parameters:
    ///   - itemBytes: bytes that a step computes in for each item of its batch.
    ///   - batch: items of the largest batch.
    init(_ file: ONNXFile, itemBytes: Int, batch: Int) {
        weights = ([file.path] + file.externalFiles).reduce(0) { $0 + Self.size($1) }
        tables = 0
        canMapTables = false
        layers = []
        hidden = 0
        areQuantized = false
        // Which weights are packed once more is known to the engine alone.
        packedBeside = weights
        workingBytesPerToken = Double(itemBytes)
        sharedBytesPerToken = 0
        kernelBytesPerToken = workingBytesPerToken
        maxTokens = batch
        tokenBudget = batch
    }

    /// Bytes of the weights as `form` keeps them, for weights that are stored in fp32: int8 with its scales, int4 with a scale for each
    /// block of 32 and tables as they are.
    private func weightBytes(_ form: ServedForm) -> Int {
        guard let network = form.form, !areQuantized else { return weights }
        switch form.precision {
        case .fp32, .auto: return weights
        case .fp16, .bf16: return weights / 2
        // Scales in fp32, for each block of 32 and in tables of the kernels of 64.
        case .int8: return weights / 100 * (network.style == .kernels ? 29 : 30)
        case .int4: return tables + (weights - tables) / 5
        }
    }

    /// Tokens of a batch on `device`.
    func batchTokens(on device: DeviceID) -> Int { max(tokenBudget ?? device.kind.tokenBudget, maxTokens) }

    /// Tokens of a batch that are computed at a time where it is cut into chunks.
    func chunkTokens(on device: DeviceID) -> Int { device.kind.tokenBudget }

    /// What it takes of `device` with this number of lanes.
    ///
    /// - Parameters:
    ///   - batch: tokens that are computed at a time; nil for those of a batch.
    ///   - ranks: devices that share each layer.
    func needs(as form: ServedForm, on device: DeviceID, lanes: Int, batch: Int? = nil, ranks: Int = 1) -> [MemoryLedger.Purpose: Int] {
        let computesOnCPU = device.kind.computesOnCPU
        // On CUDA every lane has a session with weights and activations of its own; steps of other accelerators come one after the other.
        let sessions = device.kind == .cuda ? max(1, lanes) : 1
        let steps = computesOnCPU ? lanes : sessions
        let tokens = batch ?? batchTokens(on: device)
        let working = workingBytesPerToken - sharedBytesPerToken * (1 - 1 / Double(max(1, ranks)))
        let perToken = form.form?.style == .kernels ? kernelBytesPerToken : working
        let arena = Int(exactly: (perToken * Double(tokens) * Double(max(1, steps))).rounded()) ?? .max
        let weights = weightBytes(form)
        guard computesOnCPU else {
            let (whole, overflow) = weights.multipliedReportingOverflow(by: sessions)
            return [.weights: overflow ? .max : whole, .arena: arena]
        }
        return [.weights: weights + packedBeside, .arena: arena, .context: Self.sessionBytes]
    }

    /// What a device of a group takes: its share of the weights and of what is computed in.
    func needs(as form: ServedForm, of part: GroupShare) -> [MemoryLedger.Purpose: Int] {
        var needs = needs(as: form, on: part.device, lanes: 1, ranks: part.ranks)
        var weights = Double(needs[.weights] ?? 0) * part.weights
        // Ranks of one process look rows up in the same pages of the file, which count on the first.
        let readsFile = part.device.kind.computesOnCPU && canMapTables && form.precision == .fp32 && form.form.map { $0.style != .kernels } ?? false
        if part.rank > 0, readsFile { weights -= Double(tables) }
        needs[.weights] = Int(exactly: max(0, weights).rounded(.up)) ?? .max
        needs[.context] = needs[.context].map { Int((Double($0) * part.layers).rounded(.up)) }
        return needs
    }

    /// Activations of a layer in rows of the hidden width, with operators that keep neither scores nor the widened feed-forward rows: input,
    /// queries, keys, values, context and output; seven were measured.
    private static let kernelRows = 7.0

    /// The engine's own tables for a model on a CPU: 2.5 MiB measured for one of 6 layers.
    private static let sessionBytes = 3 << 20

    /// Activations in fp32 of one layer, which the next reuses: eight rows of the hidden width, and beside them ``shared(longest:intermediate:heads:)``.
    /// For a hidden width of 384 that is 2 to 6 % above what the engine's arena counts at 384 tokens in sequences of 1 to 384.
    private static func rows(hidden: Int) -> Double { 4 * 8 * Double(hidden) }

    /// Whichever is more: the feed-forward part before and after its activation, or the attention scores, for which one and a half times their
    /// size was measured.
    private static func shared(longest: Int, intermediate: Int, heads: Int) -> Double {
        4 * max(2 * Double(intermediate), 1.5 * Double(heads) * Double(longest))
    }

    private static func size(_ path: String) -> Int {
        let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber
        return size?.intValue ?? 0
    }
}
