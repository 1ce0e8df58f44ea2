package import ApusErrors

/// The vectors of one request, in the order of its inputs, and how each was made.
package struct EmbeddingBatch: Sendable {
    /// Row-major, `rows` x `dimensions`, contiguous.
    package var vectors: [Float]
    /// Elements of one vector.
    package var dimensions: Int
    /// One account for each row.
    package var provenance: [EmbeddingProvenance]
    /// Why rows have no vector, by their index: only where ``EmbeddingOptions/partial`` was asked. The row of such an input holds any
    /// finite numbers, zeros by choice, and its account is ``EmbeddingProvenance/none``; nobody is shown either.
    package var failures: [Int: ApusError]

    package init(vectors: [Float], dimensions: Int, provenance: [EmbeddingProvenance], failures: [Int: ApusError] = [:]) {
        self.vectors = vectors
        self.dimensions = dimensions
        self.provenance = provenance
        self.failures = failures
    }
}

/// How one vector came to be.
package struct EmbeddingProvenance: Sendable {
    /// Whether the intended device and precision served the input.
    package enum Fallback: String, Sendable, CaseIterable {
        case none, temporary, permanent
    }

    /// Whether the vector was computed or remembered.
    package enum Cache: String, Sendable, CaseIterable {
        case hit, miss
    }

    /// The device it ran on, `cpu:0`.
    package var device: String
    /// The arithmetic it ran in, `fp32`.
    package var precision: String
    package var fallback: Fallback
    package var cache: Cache
    /// Rows in the batch it ran in, those of other requests included.
    package var batchSize: Int
    /// Padding tokens in its row of that batch.
    package var padding: Int
    /// Tokens that were run for it, special tokens included, padding not.
    package var tokens: Int
    /// Tokens it had before truncation. Equal to ``tokens`` unless ``truncated``.
    package var originalTokens: Int
    /// From acceptance to the start of its batch, in milliseconds.
    package var queueMilliseconds: Double
    /// The run of its batch, in milliseconds.
    package var runMilliseconds: Double

    package var truncated: Bool { tokens < originalTokens }

    /// The account of an input that was not run.
    package static let none = EmbeddingProvenance(
        device: "", precision: "", batchSize: 0, padding: 0, tokens: 0, originalTokens: 0, queueMilliseconds: 0, runMilliseconds: 0)

    package init(
        device: String,
        precision: String,
        fallback: Fallback = .none,
        cache: Cache = .miss,
        batchSize: Int,
        padding: Int,
        tokens: Int,
        originalTokens: Int,
        queueMilliseconds: Double,
        runMilliseconds: Double
    ) {
        self.device = device
        self.precision = precision
        self.fallback = fallback
        self.cache = cache
        self.batchSize = batchSize
        self.padding = padding
        self.tokens = tokens
        self.originalTokens = originalTokens
        self.queueMilliseconds = queueMilliseconds
        self.runMilliseconds = runMilliseconds
    }
}
