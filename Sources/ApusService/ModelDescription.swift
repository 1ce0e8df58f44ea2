/// What a client is told about a model.
package struct ModelDescription: Sendable, Equatable {
    /// What a model is for, spelled as on the wire.
    package enum Task: String, Sendable, CaseIterable {
        case embedding, rerank, classify, generate
    }

    /// The name requests choose it by.
    package var id: String
    /// When it was loaded, in seconds since 1970.
    package var created: Int64
    package var task: Task
    /// Elements of a full vector; the labels' number for models that give logits.
    package var dimensions: Int
    /// What the logits of a model for reranking or classifying stand for; empty for one that gives vectors.
    package var labels: [String]
    /// Tokens of the longest input that is not truncated, special tokens included.
    package var maxTokens: Int
    /// Highest token id + 1.
    package var vocabularySize: Int
    /// The arithmetic it runs in, `fp32`.
    package var precision: String
    /// Parts that it is run in, one after the other; 1 for whole.
    package var segments: Int
    /// Whether its weights are read from the checkpoint in every step.
    package var isOffloaded: Bool
    /// The devices it is loaded on, `cpu:0`.
    package var devices: [String]
    /// Lower-case hexadecimal SHA-256 of the weights.
    package var weightsSHA256: String
    /// Cosine of this precision's known answer to that of plain fp32, of logits what compares with it. Nil when it was not measured.
    package var cosineToFP32: Double?

    package init(
        id: String,
        created: Int64,
        task: Task = .embedding,
        dimensions: Int,
        labels: [String] = [],
        maxTokens: Int,
        vocabularySize: Int,
        precision: String,
        segments: Int = 1,
        isOffloaded: Bool = false,
        devices: [String],
        weightsSHA256: String,
        cosineToFP32: Double? = nil
    ) {
        self.id = id
        self.created = created
        self.task = task
        self.dimensions = dimensions
        self.labels = labels
        self.maxTokens = maxTokens
        self.vocabularySize = vocabularySize
        self.precision = precision
        self.segments = segments
        self.isOffloaded = isOffloaded
        self.devices = devices
        self.weightsSHA256 = weightsSHA256
        self.cosineToFP32 = cosineToFP32
    }
}
