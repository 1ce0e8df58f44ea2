import ApusScheduling
package import ApusTensor
package import ApusVectors

/// What one model remembers of inputs that it embedded before.
///
/// Vectors are kept under the precision that they were really computed in. They are looked for under those that the model is meant to run in,
/// and after these under those that it runs in now: what a stand-in computed in another precision is used while it stands in and not any longer.
package struct ModelCache: Sendable {
    private let cache: EmbeddingCache
    private let identity: Identity
    /// Elements of a vector.
    private let dimensions: Int
    /// Tokens of the longest input that is not cut.
    private let maxTokens: Int

    /// What the vectors of one model depend on besides the input.
    package struct Identity: Sendable {
        /// The name by which requests choose the model.
        package var name: String
        /// Digest of the weights.
        package var weights: String
        /// Digest of the files that say how they are used.
        package var files: String
        /// What the devices that the model is meant for run it in.
        package var precisions: [Precision]

        package init(name: String, weights: String, files: String, precisions: [Precision]) {
            self.name = name
            self.weights = weights
            self.files = files
            self.precisions = precisions
        }
    }

    package init(_ cache: EmbeddingCache, _ identity: Identity, dimensions: Int, maxTokens: Int) {
        self.cache = cache
        self.identity = identity
        self.dimensions = dimensions
        self.maxTokens = maxTokens
    }

    /// A vector that need not be computed.
    struct Remembered: Sendable {
        let value: CachedEmbedding
        /// What it was computed in.
        let precision: Precision
    }

    /// Prepares to look for `inputs`.
    func request(_ inputs: [TextInput], computedIn open: [Precision], owner: String) -> Request {
        var scopes: [Scope] = []
        for precision in identity.precisions + open where !scopes.contains(where: { $0.precision == precision }) {
            scopes.append(scope(precision, owner))
        }
        return Request(self, inputs, scopes, owner)
    }

    private func scope(_ precision: Precision, _ owner: String) -> Scope {
        Scope(
            precision: precision,
            keys: EmbeddingScope(
                model: identity.name, weights: identity.weights, files: identity.files, precision: precision, truncation: "right:\(maxTokens)",
                owner: owner))
    }

    struct Scope: Sendable {
        let precision: Precision
        let keys: EmbeddingScope

        /// Nil for what is not remembered.
        func key(_ input: TextInput) -> EmbeddingKey? {
            switch input {
            case .text(let text): keys.key(text: text)
            case .tokens(let tokens): keys.key(tokens: tokens)
            case .pair: nil
            }
        }
    }

    /// The inputs of one request on their way through the levels of the cache.
    struct Request: Sendable {
        private let model: ModelCache
        private let inputs: [TextInput]
        private let scopes: [Scope]
        private let owner: String
        /// One for each input; nil for those that are to be computed.
        private(set) var remembered: [Remembered?]

        fileprivate init(_ model: ModelCache, _ inputs: [TextInput], _ scopes: [Scope], _ owner: String) {
            (self.model, self.inputs, self.scopes, self.owner) = (model, inputs, scopes, owner)
            remembered = Array(repeating: nil, count: inputs.count)
        }

        /// Looks into memory, and then for what is not there into the store that is shared with others, which has a time limit of its own.
        ///
        /// - Parameter maxOriginalTokens: what had more tokens counts as not remembered, so that it is refused as it was before.
        mutating func lookUp(maxOriginalTokens: Int, _ metrics: BatchMetrics) async {
            var missing: [(row: Int, precision: Precision, key: EmbeddingKey)] = []
            var hits = 0
            for (row, input) in inputs.enumerated() {
                let before = missing.count
                for scope in scopes {
                    guard let key = scope.key(input) else { break }
                    if let value = model.cache.value(for: key), value.originalTokens <= maxOriginalTokens {
                        remembered[row] = Remembered(value: value, precision: scope.precision)
                        missing.removeSubrange(before...)
                        hits += 1
                        break
                    }
                    missing.append((row, scope.precision, key))
                }
            }
            metrics.lookedUp(.memory, hits: hits, misses: inputs.count - hits)
            guard !missing.isEmpty, let shared = model.cache.shared else { return }
            let values = await shared.values(for: missing.map(\.key))
            for (asked, value) in zip(missing, values) where remembered[asked.row] == nil {
                guard let value, model.isPlausible(value), value.originalTokens <= maxOriginalTokens else { continue }
                remembered[asked.row] = Remembered(value: value, precision: asked.precision)
                model.cache.store(value, for: asked.key)
            }
            let found = remembered.count { $0 != nil } - hits
            metrics.lookedUp(.redis, hits: found, misses: inputs.count - hits - found)
        }

        /// Keeps what was computed.
        func store(_ texts: EmbeddedTexts) {
            var entries: [(key: EmbeddingKey, value: CachedEmbedding)] = []
            let (sequences, width) = (texts.sequences, texts.sequences.dimensions)
            for (row, input) in inputs.enumerated() where remembered[row] == nil && sequences.failures[row] == nil {
                let run = sequences.runs[row]
                // Of equal inputs of several requests one computes, and whoever shares a cache with the others need not keep it again.
                guard !run.isShared || !owner.isEmpty else { continue }
                let scope = scopes.first { $0.precision == run.precision } ?? model.scope(run.precision, owner)
                guard let key = scope.key(input) else { continue }
                let count = texts.tokenCounts[row]
                let value = CachedEmbedding(
                    vector: sequences.vectors[(row * width)..<((row + 1) * width)], tokens: count.run, originalTokens: count.original,
                    device: run.device, group: run.group)
                model.cache.store(value, for: key)
                entries.append((key, value))
            }
            if !entries.isEmpty { model.cache.shared?.store(entries) }
        }
    }

    /// Whether a vector from outside can be this model's.
    private func isPlausible(_ value: CachedEmbedding) -> Bool {
        value.vector.count == dimensions && (1...maxTokens).contains(value.tokens) && value.tokens <= value.originalTokens
    }
}
