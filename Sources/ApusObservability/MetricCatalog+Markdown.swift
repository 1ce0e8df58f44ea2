extension MetricCatalog {
    /// The catalogue as a table for people, in the order of the names.
    package static var markdown: String {
        var text = "| metric | kind | labels | meaning |\n|---|---|---|---|\n"
        for descriptor in all.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            let kind =
                switch descriptor.kind {
                case .counter: "counter"
                case .gauge: "gauge"
                case .histogram: "histogram"
                }
            let labels = descriptor.labels.map { "`\($0)`" }.joined(separator: ", ")
            text += "| `\(descriptor.name)` | \(kind) | \(labels) | \(descriptor.help) |\n"
        }
        return text
    }
}
