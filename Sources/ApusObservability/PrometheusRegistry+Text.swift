import Synchronization

extension PrometheusRegistry {
    /// The media type of ``text()``.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// All families in the order of their names, in Prometheus' text format, UTF-8.
    package func text() -> [UInt8] {
        runScrapeActions()
        let snapshot = families.withLock { $0 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8192)
        for (name, family) in snapshot.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            append(family, named: name, to: &bytes)
        }
        return bytes
    }

    private func append(_ family: MetricFamily, named name: String, to bytes: inout [UInt8]) {
        if let help = family.help {
            bytes.append(contentsOf: "# HELP \(name) ".utf8)
            PrometheusText.appendEscaped(help, quotes: false, to: &bytes)
            bytes.append(UInt8(ascii: "\n"))
        }
        bytes.append(contentsOf: "# TYPE \(name) \(family.typeName)\n".utf8)
        switch family.storage {
        case .scalars(let all):
            for (key, series) in all.sorted(by: { $0.key < $1.key }) {
                appendSample(name, key.bytes, PrometheusText.number(series.value), to: &bytes)
            }
        case .histograms(let bounds, let all):
            for (key, series) in all.sorted(by: { $0.key < $1.key }) {
                append(series.snapshot, bounds: bounds, named: name, labels: key.bytes, to: &bytes)
            }
        }
    }

    private func append(
        _ snapshot: HistogramSeries.Snapshot,
        bounds: [Double],
        named name: String,
        labels: [UInt8],
        to bytes: inout [UInt8]
    ) {
        var cumulative: UInt64 = 0
        for (count, bound) in zip(snapshot.counts, bounds + [.infinity]) {
            cumulative &+= count
            var withBound = labels
            if !withBound.isEmpty { withBound.append(UInt8(ascii: ",")) }
            withBound.append(contentsOf: "le=\"\(PrometheusText.number(bound))\"".utf8)
            appendSample("\(name)_bucket", withBound, String(cumulative), to: &bytes)
        }
        appendSample("\(name)_sum", labels, PrometheusText.number(snapshot.sum), to: &bytes)
        appendSample("\(name)_count", labels, String(cumulative), to: &bytes)
    }

    private func appendSample(_ name: String, _ labels: [UInt8], _ value: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: name.utf8)
        if !labels.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            bytes.append(contentsOf: labels)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
        bytes.append(contentsOf: value.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }
}
