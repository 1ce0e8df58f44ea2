import CApusKernels

/// How near two vectors are. Scores are higher for nearer vectors, whatever the metric.
package enum VectorMetric: String, Sendable, Hashable, CaseIterable {
    /// The score is the dot product.
    case dot
    /// The score is the cosine of the angle, within rounding of -1...1; 0 where a vector is all zeros.
    case cosine
    /// The score is minus the squared Euclidean distance.
    case l2

    /// What a person expects to read: the score, but for ``l2`` the Euclidean distance.
    package func reading(_ score: Float) -> Float {
        self == .l2 ? max(0, -score).squareRoot() : score
    }

    var kernel: apus_metric {
        switch self {
        case .dot: APUS_METRIC_DOT
        case .cosine: APUS_METRIC_COSINE
        case .l2: APUS_METRIC_L2
        }
    }
}
