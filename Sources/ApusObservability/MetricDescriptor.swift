/// A metric family: its name, what it counts and, for a histogram, where its buckets end.
package struct MetricDescriptor: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case counter
        case gauge
        /// Upper bounds of the buckets, ascending, finite, without the last one (`+Inf`).
        case histogram(buckets: [Double])
    }

    package let name: String
    package let kind: Kind
    /// The labels that samples of this family have, without a histogram's `le`.
    package let labels: [String]
    /// One sentence, as shown in the HELP line.
    package let help: String

    package init(_ name: String, _ kind: Kind, by labels: [String] = [], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }
}
