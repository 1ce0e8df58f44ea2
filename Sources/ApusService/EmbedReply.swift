/// The vectors of a request, cut as asked, and what is told about them.
package struct EmbedReply: Sendable {
    package let model: ModelDescription
    package let batch: EmbeddingBatch
    package let summary: ProvenanceSummary

    /// Tokens that were run, special tokens included.
    package var promptTokens: Int { summary.tokens }
}

/// The provenance of a whole request in one line.
package struct ProvenanceSummary: Sendable, Equatable {
    /// Devices in the order they first appear, each once.
    package private(set) var devices: [String] = []
    /// Precisions in the order they first appear, each once.
    package private(set) var precisions: [String] = []
    /// The gravest of all inputs: permanent before temporary before none.
    package private(set) var fallback = EmbeddingProvenance.Fallback.none
    /// Rows of the largest batch.
    package private(set) var batchSize = 0
    package private(set) var cacheHits = 0
    package private(set) var cacheMisses = 0
    package private(set) var truncated = 0
    package private(set) var tokens = 0

    package init(_ provenance: some Sequence<EmbeddingProvenance>) {
        for input in provenance {
            // Of a group, all devices are told, comma-separated.
            for device in input.device.split(separator: ",").map(String.init) where !devices.contains(device) { devices.append(device) }
            if !precisions.contains(input.precision) { precisions.append(input.precision) }
            switch (fallback, input.fallback) {
            case (.none, let other): fallback = other
            case (.temporary, .permanent): fallback = .permanent
            case (.temporary, _), (.permanent, _): break
            }
            batchSize = max(batchSize, input.batchSize)
            switch input.cache {
            case .hit: cacheHits += 1
            case .miss: cacheMisses += 1
            }
            if input.truncated { truncated += 1 }
            tokens &+= input.tokens
        }
    }
}
