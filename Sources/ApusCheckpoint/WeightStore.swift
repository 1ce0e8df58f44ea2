package import ApusErrors
import ApusJSON
import ApusTensor

/// The tensors of a model, memory-mapped from one safetensors file or several shards.
package struct WeightStore: Sendable {
    /// The files in the order of their names.
    package let files: [MappedFile]
    private let tensors: [String: TensorView]

    static let singleFile = "model.safetensors"
    static let indexFile = "model.safetensors.index.json"

    /// A tensor by the name its family gives it, whatever prefix (`bert.`, `roberta.`, …) the checkpoint wrote before it.
    package subscript(name: String) -> TensorView? { tensors[name] }

    /// A matrix by the name its family gives it, quantised or not; nil when there is none of this name.
    /// - Throws: `.invalidCheckpoint` for tensors that are no matrix.
    package func matrix(_ name: String) throws(ApusError) -> WeightMatrix? {
        guard let values = tensors[name] else { return nil }
        guard let scales = tensors[name + Self.scaleEnding], values.shape.count >= 2 else { return try WeightMatrix(values) }
        switch values.elementType {
        case .int8:
            return WeightMatrix(name: name, rows: values.shape[0], columns: values.shape[1], .channels(values, scales: scales))
        case .uint8:
            // The number of columns is a multiple of the block's size: others are not written.
            return WeightMatrix(
                name: name, rows: values.shape[0], columns: values.shape[1] * BlockQuantization.blockSize,
                .blocks(values, scales: scales))
        default:
            return try WeightMatrix(values)
        }
    }

    /// What follows a quantised tensor's name in that of its scales.
    static let scaleEnding = ".scale"

    /// All names, without the prefix, sorted.
    package var names: [String] { tensors.keys.sorted() }

    /// The safetensors weights in `directory`: one file, or the shards of an index; nil when there are none.
    /// - Throws: `.invalidCheckpoint` for files that do not follow the format or each other.
    static func weights(in directory: ModelDirectory) throws(ApusError) -> WeightStore? {
        if directory.has(singleFile) {
            return try WeightStore([SafetensorsFile(path: directory.file(singleFile))])
        }
        guard directory.has(indexFile) else { return nil }
        return try WeightStore(shardsOf: directory)
    }

    init(_ parts: [SafetensorsFile]) throws(ApusError) {
        files = parts.map(\.file)
        let prefix = Self.prefix(of: parts)
        var tensors: [String: TensorView] = [:]
        for part in parts {
            for view in part.tensors {
                let name = Self.currentName(view.name.hasPrefix(prefix) ? String(view.name.dropFirst(prefix.count)) : view.name)
                guard tensors.updateValue(view.renamed(name), forKey: name) == nil else {
                    throw ApusError(
                        .invalidCheckpoint, "the tensor appears twice", place: "\(part.file.path): tensor \(view.name.debugDescription)")
                }
            }
        }
        self.tensors = tensors
    }

    private init(shardsOf directory: ModelDirectory) throws(ApusError) {
        let place = directory.file(Self.indexFile)
        let map = try directory.json(Self.indexFile).reader("weight_map")
        var shardOfTensor: [String: String] = [:]
        for (tensor, file) in map.object.entries {
            let name = try file.stringValue(at: map.place(of: tensor), code: .invalidCheckpoint)
            try ModelDirectory.requirePlainName(name, place: map.place(of: tensor))
            shardOfTensor[tensor] = name
        }
        guard !shardOfTensor.isEmpty else { throw ApusError(.invalidCheckpoint, "the index names no shard", place: place) }
        var parts: [SafetensorsFile] = []
        for name in Set(shardOfTensor.values).sorted() {
            let part = try SafetensorsFile(path: directory.file(name))
            let held = Set(part.tensors.map(\.name))
            if let missing = shardOfTensor.filter({ $0.value == name && !held.contains($0.key) }).keys.min() {
                throw ApusError(
                    .invalidCheckpoint, "the index says that \(name) holds tensor \(missing.debugDescription), and it does not", place: place)
            }
            parts.append(part)
        }
        try self.init(parts)
    }

    /// What stands before the encoder's own names, found by the one tensor that every family has.
    private static func prefix(of parts: [SafetensorsFile]) -> String {
        let anchor = "embeddings.word_embeddings.weight"
        let prefixes = parts.flatMap { part in
            part.tensors.compactMap { $0.name.hasSuffix(anchor) ? String($0.name.dropLast(anchor.count)) : nil }
        }
        return prefixes.min { $0.count < $1.count } ?? ""
    }

    /// Checkpoints converted from TensorFlow call a norm's parameters gamma and beta.
    private static func currentName(_ name: String) -> String {
        if name.hasSuffix("LayerNorm.gamma") { return String(name.dropLast(5)) + "weight" }
        if name.hasSuffix("LayerNorm.beta") { return String(name.dropLast(4)) + "bias" }
        return name
    }
}
