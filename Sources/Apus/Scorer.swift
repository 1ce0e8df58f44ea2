import ApusEmbeddings
public import ApusTensor

/// A loaded model that scores texts or pairs of texts: a ``Reranker`` or a ``Classifier``.
public protocol Scorer: Sendable {
    /// The model behind it.
    var scoring: ScoringModel { get }
}

extension Scorer {
    /// The name of the model.
    public var model: String { scoring.ready.name }
    /// Tokens of the longest input that is not cut, special tokens included; of a pair, both texts together.
    public var maxTokens: Int { scoring.ready.embedder.maxTokens }
    /// What the model really runs in; on the first device where they differ.
    public var precision: Precision { scoring.ready.precision }
    /// How near the logits are to plain fp32 where the model runs now, 1 for the same: 1 − ‖error‖² / (2 s²) for the worst of some built-in
    /// texts, s² being the variance of the logits. nil while it runs nowhere.
    public var agreementWithFP32: Double? { scoring.ready.lowestCosine }
    /// Where it runs now. Empty while a device that failed is being replaced.
    public var devices: [DeviceID] { scoring.ready.devices }
}
