import Synchronization

/// Holds every metric of the process and writes them as Prometheus text.
///
/// Making or finding a series takes the registry's lock for one dictionary look-up; counting on a series does not.
package final class PrometheusRegistry: Sendable {
    let configuration: PrometheusConfiguration
    let families: Mutex<[String: MetricFamily]>
    private let scrapeActions = Mutex<[@Sendable (PrometheusRegistry) -> Void]>([])

    /// - Parameter catalog: families whose HELP and TYPE lines are shown even before they have samples.
    package init(
        configuration: PrometheusConfiguration = .standard,
        catalog: [MetricDescriptor] = MetricCatalog.all
    ) {
        self.configuration = configuration
        var families: [String: MetricFamily] = [:]
        for descriptor in catalog {
            var kind = descriptor.kind
            if case .histogram = kind, let bounds = configuration.buckets[descriptor.name] {
                kind = .histogram(buckets: bounds)
            }
            families[descriptor.name] = MetricFamily(kind: kind, help: descriptor.help)
        }
        self.families = Mutex(families)
    }

    /// Runs `action` before each scrape, to bring gauges up to date.
    package func beforeScrape(_ action: @escaping @Sendable (PrometheusRegistry) -> Void) {
        scrapeActions.withLock { $0.append(action) }
    }

    func runScrapeActions() {
        for action in scrapeActions.withLock({ $0 }) { action(self) }
    }

    /// The counter of that name and label set, made when it is new. A name that is already of another kind gives a series that
    /// counts but is not shown: the first use of a name decides.
    package func counter(_ name: String, _ labels: [(String, String)] = []) -> ScalarSeries {
        scalar(name, kind: .counter, labels)
    }

    package func gauge(_ name: String, _ labels: [(String, String)] = []) -> ScalarSeries {
        scalar(name, kind: .gauge, labels)
    }

    /// Takes a gauge's series out of the text; a later use of its name and labels makes a new one. Any other series stays.
    package func removeGauge(_ series: ScalarSeries) {
        families.withLock { families in
            for (name, family) in families where family.typeName == "gauge" {
                guard case .scalars(var all) = family.storage, let key = all.first(where: { $0.value === series })?.key else {
                    continue
                }
                all[key] = nil
                families[name] = family.storing(.scalars(all))
                return
            }
        }
    }

    private func scalar(_ name: String, kind: MetricDescriptor.Kind, _ labels: [(String, String)]) -> ScalarSeries {
        let name = PrometheusText.metricName(name)
        let wanted = SeriesKey(labels)
        let fresh = MetricFamily(kind: kind, help: nil)
        let (series, refused): (ScalarSeries, Bool) = families.withLock { families in
            let family = families[name] ?? fresh
            guard family.typeName == fresh.typeName, case .scalars(var all) = family.storage else {
                return (ScalarSeries(), false)
            }
            let (key, refused) = admit(wanted, labels, known: { all[$0] != nil }, count: all.count)
            if let series = all[key] { return (series, refused) }
            let series = ScalarSeries()
            all[key] = series
            families[name] = family.storing(.scalars(all))
            return (series, refused)
        }
        if refused { noteRefusal(of: name) }
        return series
    }

    /// The histogram of that name and label set, made when it is new, with the catalogue's buckets or else `buckets`.
    package func histogram(
        _ name: String,
        _ labels: [(String, String)] = [],
        buckets: [Double] = MetricCatalog.secondsBuckets
    ) -> HistogramSeries {
        let name = PrometheusText.metricName(name)
        let wanted = SeriesKey(labels)
        let bounds = configuration.buckets[name] ?? buckets
        let (series, refused): (HistogramSeries, Bool) = families.withLock { families in
            let family = families[name] ?? MetricFamily(kind: .histogram(buckets: bounds), help: nil)
            guard case .histograms(let bounds, var all) = family.storage else {
                return (HistogramSeries(bounds: bounds), false)
            }
            let (key, refused) = admit(wanted, labels, known: { all[$0] != nil }, count: all.count)
            if let series = all[key] { return (series, refused) }
            let series = HistogramSeries(bounds: bounds)
            all[key] = series
            families[name] = family.storing(.histograms(bounds: bounds, all))
            return (series, refused)
        }
        if refused { noteRefusal(of: name) }
        return series
    }

    /// The key itself while the family has room, else the key of the series that takes in all others.
    private func admit(
        _ key: SeriesKey,
        _ labels: [(String, String)],
        known: (SeriesKey) -> Bool,
        count: Int
    ) -> (SeriesKey, refused: Bool) {
        if known(key) || count < configuration.maxSeriesPerFamily { return (key, false) }
        return (SeriesKey(labels.map { ($0.0, "other") }), true)
    }

    /// Families are few and named by code, so this counter cannot itself run out of label sets by what clients send.
    private func noteRefusal(of name: String) {
        guard name != "apus_metric_series_refused_total" else { return }
        counter("apus_metric_series_refused_total", [("family", name)]).increment(by: 1.0)
    }
}
