import ApusErrors
import ApusJSON

/// What modules.json says: where the transformer lies and what follows it.
struct SentenceModules {
    /// The folder of config.json, the weights and the tokenizer; the model directory itself in all but old checkpoints.
    let transformer: ModelDirectory
    /// Empty for a sequence classifier, whose head is among the transformer's weights.
    let modules: [SentenceModule]
    /// Whether config.json describes a sequence classifier and modules.json, where there is one, makes nothing else of it.
    let isClassifier: Bool
    /// The input size that the pooling module states, and where.
    let pooledSize: (value: Int, place: String)?

    private static let file = "modules.json"

    /// Reads modules.json; without it, a classifier's head or the mean of the tokens, as sentence-transformers does then.
    init(_ directory: ModelDirectory) throws(ApusError) {
        guard directory.has(Self.file) else {
            transformer = directory
            isClassifier = try Self.describesClassifier(directory)
            modules = isClassifier ? [] : [.pooling(.mean)]
            pooledSize = nil
            return
        }
        let place = directory.file(Self.file)
        let entries = try directory.jsonValue(Self.file).arrayValue(at: place, code: .invalidCheckpoint)
        var transformer: ModelDirectory?
        var modules: [SentenceModule] = []
        var pooledSize: (value: Int, place: String)?
        for (index, entry) in entries.enumerated() {
            let reader = try JSONReader(entry, place: "\(place): [\(index)].", code: .invalidCheckpoint)
            let type = try reader.string("type")
            let folder = try reader.string("path")
            let kind = try Kind(type, place: reader.place(of: "type"))
            guard (kind == .transformer) == (index == 0) else {
                throw ApusError(
                    .unsupportedModel, "one Transformer module is wanted, before all others", place: reader.place(of: "type"))
            }
            switch kind {
            case .transformer:
                transformer = try directory.subdirectory(folder, namedBy: reader.place(of: "path"))
            case .pooling:
                guard modules.isEmpty else {
                    throw ApusError(.unsupportedModel, "the Pooling module must follow the Transformer", place: reader.place(of: "type"))
                }
                let settings = try directory.subdirectory(folder, namedBy: reader.place(of: "path")).json("config.json")
                modules.append(.pooling(try PoolingConfiguration(settings)))
                if let size = try PoolingConfiguration.inputSize(settings) {
                    pooledSize = (size, settings.place(of: "embedding_dimension"))
                }
            case .dense:
                try Self.requirePooled(modules, reader.place(of: "type"))
                let module = try directory.subdirectory(folder, namedBy: reader.place(of: "path"))
                modules.append(.dense(try DenseModule(module, folder: folder)))
            case .normalize:
                try Self.requirePooled(modules, reader.place(of: "type"))
                // Older checkpoints have no folder for this module: it has nothing to say there.
                try ModelDirectory.requirePlainName(folder, place: reader.place(of: "path"))
                if let settings = try directory.jsonIfPresent(folder + "/config.json") { try Self.requireSentenceVector(settings) }
                modules.append(.normalize)
            case .dropout:
                continue
            }
        }
        guard let transformer else {
            throw ApusError(.invalidCheckpoint, "no modules are listed", place: place)
        }
        isClassifier = modules.isEmpty ? try Self.describesClassifier(transformer) : false
        if !isClassifier { try Self.requirePooled(modules, place) }
        self.transformer = transformer
        self.modules = modules
        self.pooledSize = pooledSize
    }

    /// The width of a text's vector for token states of `width`.
    /// - Throws: `.invalidCheckpoint` when a module expects another width than the one before it gives.
    func outputSize(from width: Int) throws(ApusError) -> Int {
        if let pooledSize, pooledSize.value != width {
            throw ApusError(
                .invalidCheckpoint, "pooling expects states of \(pooledSize.value), the transformer gives \(width)", place: pooledSize.place)
        }
        var size = width
        for module in modules {
            switch module {
            case .pooling(let pooling): size *= pooling.modes.count
            case .dense(let dense):
                guard dense.inFeatures == size else {
                    throw ApusError(
                        .invalidCheckpoint, "the dense layer expects \(dense.inFeatures) features and gets \(size)",
                        place: dense.weight.owner.path)
                }
                size = dense.outFeatures
            case .normalize: break
            }
        }
        return size
    }

    private static func describesClassifier(_ transformer: ModelDirectory) throws(ApusError) -> Bool {
        guard let configuration = try transformer.jsonIfPresent("config.json") else { return false }
        return try SequenceClassifier.isDescribed(by: configuration)
    }

    /// Accepts a module that reads and writes the text's vector and not the tokens' states.
    static func requireSentenceVector(_ reader: JSONReader) throws(ApusError) {
        for key in ["module_input_name", "module_output_name"] {
            if let name = try reader.optionalString(key), name != "sentence_embedding" {
                throw ApusError(
                    .unsupportedModel, "modules that work on \(name.debugDescription) are not supported", place: reader.place(of: key))
            }
        }
    }

    private static func requirePooled(_ modules: [SentenceModule], _ place: String) throws(ApusError) {
        guard !modules.isEmpty else {
            throw ApusError(.unsupportedModel, "a model without a Pooling module gives one vector for each token, not one for a text", place: place)
        }
    }

    private enum Kind: String {
        case transformer = "Transformer"
        case pooling = "Pooling"
        case dense = "Dense"
        case normalize = "Normalize"
        /// Does nothing outside training.
        case dropout = "Dropout"

        /// - Parameter type: a class name; the package path differs between the versions of sentence-transformers.
        init(_ type: String, place: String) throws(ApusError) {
            let name = type.split(separator: ".").last.map(String.init) ?? ""
            guard type.hasPrefix("sentence_transformers."), let kind = Self(rawValue: name) else {
                throw ApusError(
                    .unsupportedModel, "module type \(type.debugDescription) is not supported", place: place,
                    advice: "Supported are Transformer, Pooling, Dense and Normalize of sentence-transformers")
            }
            self = kind
        }
    }
}
