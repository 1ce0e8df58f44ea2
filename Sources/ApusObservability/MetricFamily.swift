/// All series of one name. Not synchronised: the registry's lock guards it.
struct MetricFamily {
    enum Storage {
        case scalars([SeriesKey: ScalarSeries])
        case histograms(bounds: [Double], [SeriesKey: HistogramSeries])
    }

    let typeName: String
    let help: String?
    private(set) var storage: Storage

    /// A family that is in no catalogue and so has no HELP line.
    init(kind: MetricDescriptor.Kind, help: String?) {
        self.help = help
        switch kind {
        case .counter:
            typeName = "counter"
            storage = .scalars([:])
        case .gauge:
            typeName = "gauge"
            storage = .scalars([:])
        case .histogram(let buckets):
            typeName = "histogram"
            storage = .histograms(bounds: buckets, [:])
        }
    }

    func storing(_ storage: Storage) -> MetricFamily {
        var family = self
        family.storage = storage
        return family
    }
}

/// A label set as it stands in the exposition, without braces: `model="m",route="/x"`. Compared byte for byte.
struct SeriesKey: Hashable, Comparable {
    let bytes: [UInt8]

    /// Labels in the order of their names, so that the same set always gives the same key.
    init(_ labels: [(String, String)]) {
        guard !labels.isEmpty else {
            bytes = []
            return
        }
        var text: [UInt8] = []
        let sorted = labels.count < 2 ? labels : labels.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
        for (index, label) in sorted.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: PrometheusText.labelName(label.0))
            text.append(UInt8(ascii: "="))
            text.append(UInt8(ascii: "\""))
            PrometheusText.appendEscaped(label.1, quotes: true, to: &text)
            text.append(UInt8(ascii: "\""))
        }
        bytes = text
    }

    static func < (left: SeriesKey, right: SeriesKey) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
