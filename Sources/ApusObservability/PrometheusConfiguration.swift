package import ApusErrors

/// How metrics are kept.
package struct PrometheusConfiguration: Sendable {
    /// Label sets a family may have before further ones are folded into one series whose labels all read `other`.
    package let maxSeriesPerFamily: Int
    /// Bucket bounds by family name, instead of the catalogue's.
    package let buckets: [String: [Double]]

    package static let standard = PrometheusConfiguration()

    private init() {
        maxSeriesPerFamily = 500
        buckets = [:]
    }

    /// - Throws: `.invalidConfiguration` when the limit is below 1, or bounds are empty, not finite or not ascending.
    package init(maxSeriesPerFamily: Int = 500, buckets: [String: [Double]]) throws(ApusError) {
        guard maxSeriesPerFamily >= 1 else {
            throw ApusError(.invalidConfiguration, "must be at least 1", place: "metrics.max_series_per_family")
        }
        for (name, bounds) in buckets {
            let ascending = zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }
            guard !bounds.isEmpty, bounds.allSatisfy(\.isFinite), ascending else {
                throw ApusError(
                    .invalidConfiguration, "bucket bounds must be finite numbers in ascending order",
                    place: "metrics.buckets.\(name)"
                )
            }
        }
        self.maxSeriesPerFamily = maxSeriesPerFamily
        self.buckets = buckets
    }
}
