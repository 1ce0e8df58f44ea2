import ApusErrors
import ApusJSON

/// How the states of a text's tokens become one vector.
package struct PoolingConfiguration: Sendable, Hashable {
    /// In sentence-transformers' definitions; n is the number of tokens, padding left out.
    package enum Mode: String, Sendable, Hashable, CaseIterable {
        // Raw values are the spellings of `pooling_mode`.
        /// The first token.
        case cls
        /// The largest value of each element.
        case max
        case mean
        /// The sum divided by √n.
        case meanSqrtLength = "mean_sqrt_len_tokens"
        /// Token i = 1 … n weighs i / (1 + … + n).
        case weightedMean = "weightedmean"
        case lastToken = "lasttoken"
    }

    /// At least one; the results of several stand one after the other in the vector.
    package let modes: [Mode]
    /// Whether the tokens of a prompt count. Models that leave them out are pooled as if no prompt was given.
    package let includesPrompt: Bool

    /// What sentence-transformers does with a checkpoint that has no modules.json.
    static let mean = PoolingConfiguration(modes: [.mean], includesPrompt: true)

    /// What the heads of classifiers read.
    static let cls = PoolingConfiguration(modes: [.cls], includesPrompt: true)

    /// The older form, one flag a mode, in the order in which sentence-transformers concatenates them.
    private static let flags: [(key: String, mode: Mode)] = [
        ("pooling_mode_cls_token", .cls), ("pooling_mode_max_tokens", .max), ("pooling_mode_mean_tokens", .mean),
        ("pooling_mode_mean_sqrt_len_tokens", .meanSqrtLength), ("pooling_mode_weightedmean_tokens", .weightedMean),
        ("pooling_mode_lasttoken", .lastToken),
    ]

    init(modes: [Mode], includesPrompt: Bool) {
        self.modes = modes
        self.includesPrompt = includesPrompt
    }

    /// Reads the config.json of a Pooling module.
    init(_ reader: JSONReader) throws(ApusError) {
        includesPrompt = try reader.optionalBool("include_prompt") ?? true
        if let value = reader.optional("pooling_mode") {
            modes = try Self.modes(value, place: reader.place(of: "pooling_mode"))
            return
        }
        var modes: [Mode] = []
        for (key, mode) in Self.flags {
            if try reader.optionalBool(key) == true { modes.append(mode) }
        }
        self.modes = modes.isEmpty ? [.mean] : modes
    }

    /// The width of the token states that the module expects, when the file says it.
    static func inputSize(_ reader: JSONReader) throws(ApusError) -> Int? {
        if let size = try reader.optionalInteger("embedding_dimension") { return size }
        return try reader.optionalInteger("word_embedding_dimension")
    }

    private static func modes(_ value: JSONValue, place: String) throws(ApusError) -> [Mode] {
        var names = [value]
        if case .array(let several) = value { names = several }
        var modes: [Mode] = []
        for name in names {
            let name = try name.stringValue(at: place, code: .invalidCheckpoint)
            guard let mode = Mode(rawValue: name) else {
                throw ApusError(
                    .unsupportedModel, "pooling mode \(name.debugDescription) is not supported", place: place,
                    advice: "Supported modes are \(Mode.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            modes.append(mode)
        }
        guard !modes.isEmpty else { throw ApusError(.invalidCheckpoint, "no pooling mode is given", place: place) }
        return modes
    }
}
