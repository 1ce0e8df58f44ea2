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
    /// One sentence, as shown in the HELP line.
    package let help: String

    package init(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        self.kind = kind
        self.help = help
    }
}
