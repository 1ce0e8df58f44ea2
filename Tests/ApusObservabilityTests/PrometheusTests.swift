import ApusErrors
import ApusObservability
import CoreMetrics
import Testing

@Suite("Prometheus text")
struct PrometheusTests {
    @Test("Every family of the catalogue shows its HELP and TYPE before it has samples, the accelerators' five among them")
    func catalogue() throws {
        let text = try Exposition(PrometheusRegistry())
        for descriptor in MetricCatalog.all {
            #expect(text.helps[descriptor.name] == descriptor.help)
        }
        #expect(text.samples.isEmpty)
        for name in ["gpu_memory_used_bytes", "gpu_memory_available_bytes", "gpu_utilization_percent", "gpu_temperature_celsius", "gpu_health_status"] {
            #expect(text.types[name] == "gauge", "\(name)")
        }
        #expect(text.types["apus_requests_total"] == "counter")
        #expect(text.types["apus_request_seconds"] == "histogram")
        #expect(Set(MetricCatalog.all.map(\.name)).count == MetricCatalog.all.count)
    }

    @Test("swift-metrics' kinds become Prometheus' kinds")
    func kinds() throws {
        let registry = PrometheusRegistry(catalog: [])
        let factory = PrometheusMetricsFactory(registry)
        let counter = Counter(label: "c_total", dimensions: [("b", "2"), ("a", "1")], factory: factory)
        counter.increment()
        counter.increment(by: 41)
        Counter(label: "c_total", dimensions: [("a", "1"), ("b", "2")], factory: factory).increment()
        FloatingPointCounter(label: "f_total", dimensions: [], factory: factory).increment(by: 1.5)
        let meter = Meter(label: "g", dimensions: [], factory: factory)
        meter.set(7)
        meter.increment(by: 2)
        meter.decrement(by: 4)
        Gauge(label: "last", dimensions: [], factory: factory).record(3.25)
        Recorder(label: "sizes", dimensions: [], aggregate: true, factory: factory).record(3)
        Timer(label: "seconds", dimensions: [], factory: factory).recordNanoseconds(1_500_000)

        let text = try Exposition(registry)
        #expect(text.value("c_total", ["a": "1", "b": "2"]) == 43)
        #expect(text.value("f_total") == 1.5)
        #expect(text.value("g") == 5)
        #expect(text.value("last") == 3.25)
        #expect(text.value("sizes_sum") == 3)
        #expect(text.value("seconds_sum") == 0.0015)
        #expect(text.value("seconds_bucket", ["le": "0.001"]) == 0)
        #expect(text.value("seconds_bucket", ["le": "0.0025"]) == 1)
        #expect(text.types == ["c_total": "counter", "f_total": "counter", "g": "gauge", "last": "gauge", "sizes": "histogram", "seconds": "histogram"])
    }

    @Test("Buckets are cumulative, a value on a bound counts below it, and the last bucket is the count")
    func buckets() throws {
        let registry = PrometheusRegistry(catalog: [.init("h", .histogram(buckets: [1, 2.5, 10]), "Help.")])
        let series = registry.histogram("h", [("model", "m")])
        for value in [0.5, 1, 1.5, 2.5, 2.6, 10, 11, 1000, -1] { series.record(value) }
        series.record(Double.nan)
        let text = try Exposition(registry)
        let counts = ["1", "2.5", "10", "+Inf"].map { text.value("h_bucket", ["model": "m", "le": $0]) }
        #expect(counts == [3, 5, 7, 9])
        #expect(text.value("h_count", ["model": "m"]) == 9)
        #expect(text.value("h_sum", ["model": "m"]) == 1028.1)
    }

    @Test("Percentiles read from the buckets are right to within a bucket")
    func percentiles() throws {
        let registry = PrometheusRegistry()
        let series = registry.histogram("apus_request_seconds")
        for millisecond in 1...1000 { series.record(Double(millisecond) / 1000) }
        let snapshot = series.snapshot
        #expect(snapshot.total == 1000)
        for (share, truth) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99), (0.01, 0.01)] {
            let rank = UInt64(share * 1000)
            var seen: UInt64 = 0
            var bucket = 0
            while seen + snapshot.counts[bucket] < rank {
                seen += snapshot.counts[bucket]
                bucket += 1
            }
            let upper = series.bounds[bucket]
            let lower = bucket == 0 ? 0 : series.bounds[bucket - 1]
            #expect(lower < truth && truth <= upper, "\(share): \(lower) to \(upper)")
        }
    }

    @Test("Labels and help are escaped, names are made valid")
    func escapes() throws {
        let hostile = "a\"b\\c\nd} 5\n# TYPE x counter"
        let registry = PrometheusRegistry(catalog: [.init("c", .counter, "Line\nfeed and back\\slash.")])
        registry.counter("c", [("model", hostile)]).increment(by: 1.0)
        registry.gauge("9 lives.left", [("0.key", "v")]).set(1.0)
        let text = try Exposition(registry)
        #expect(text.helps["c"] == #"Line\nfeed and back\\slash."#)
        #expect(text.value("c", ["model": hostile]) == 1)
        #expect(text.value("_9_lives_left", ["_0_key": "v"]) == 1)
        #expect(text.samples.count == 2)
    }

    @Test("Numbers are spelled as Prometheus reads them")
    func numbers() throws {
        let registry = PrometheusRegistry(catalog: [])
        let rows: [(String, Double, String)] = [
            ("a", .infinity, "+Inf"), ("b", -.infinity, "-Inf"), ("c", .nan, "NaN"), ("d", 3, "3"), ("e", 0.1, "0.1"),
            ("f", 1e300, "1e+300"), ("g", -2, "-2"),
        ]
        for (name, value, _) in rows { registry.gauge(name).set(value) }
        let text = String(decoding: registry.text(), as: UTF8.self)
        for (name, _, spelled) in rows { #expect(text.contains("\n\(name) \(spelled)\n"), "\(name)") }
    }

    @Test("A family with too many label sets folds the rest into one")
    func cardinality() throws {
        let registry = PrometheusRegistry(configuration: try PrometheusConfiguration(maxSeriesPerFamily: 3, buckets: [:]))
        for index in 0..<100 { registry.counter("c", [("model", "m\(index)")]).increment(by: 1.0) }
        registry.counter("c", [("model", "m0")]).increment(by: 1.0)
        for index in 0..<100 { registry.histogram("h", [("model", "m\(index)")]).record(1.0) }
        let text = try Exposition(registry)
        #expect(text.samples.filter { $0.name == "c" }.count == 4)
        #expect(text.value("c", ["model": "m0"]) == 2)
        #expect(text.value("c", ["model": "other"]) == 97)
        #expect(text.value("h_count", ["model": "other"]) == 97)
        #expect(text.value("apus_metric_series_refused_total", ["family": "c"]) == 97)
    }

    @Test("The first use of a name decides its kind, a later one of another kind is not shown")
    func conflict() throws {
        let registry = PrometheusRegistry(catalog: [])
        registry.counter("x").increment(by: 2.0)
        registry.gauge("x").set(9.0)
        registry.histogram("x").record(1.0)
        let text = try Exposition(registry)
        #expect(text.samples == [.init(name: "x", labels: [:], value: 2)])
    }

    @Test("A gauge that is destroyed is no longer shown, counters and histograms stay")
    func destroyed() throws {
        let registry = PrometheusRegistry(catalog: [.init("g", .gauge, by: ["device"], "Help.")])
        let factory = PrometheusMetricsFactory(registry)
        let first = Meter(label: "g", dimensions: [("device", "a")], factory: factory)
        let second = Meter(label: "g", dimensions: [("device", "b")], factory: factory)
        let last = Gauge(label: "last", dimensions: [], factory: factory)
        let counter = Counter(label: "c_total", dimensions: [], factory: factory)
        let histogram = Recorder(label: "h", dimensions: [], aggregate: true, factory: factory)
        first.set(1)
        second.set(2)
        last.record(3)
        counter.increment()
        histogram.record(1)
        first.destroy()
        last.destroy()
        counter.destroy()
        histogram.destroy()
        let text = try Exposition(registry)
        #expect(text.value("g", ["device": "a"]) == nil)
        #expect(text.value("g", ["device": "b"]) == 2)
        #expect(text.value("last") == nil)
        #expect(text.types["g"] == "gauge")
        #expect(text.value("c_total") == 1)
        #expect(text.value("h_count") == 1)
        Meter(label: "g", dimensions: [("device", "a")], factory: factory).set(4)
        #expect(try Exposition(registry).value("g", ["device": "a"]) == 4)
    }

    @Test("Counts from many tasks all arrive")
    func concurrency() async throws {
        let registry = PrometheusRegistry(catalog: [])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for index in 0..<10_000 {
                        registry.counter("c", [("k", String(index % 3))]).increment(by: 1.0)
                        registry.histogram("h", buckets: [0.5]).record(1.0)
                    }
                }
            }
        }
        let text = try Exposition(registry)
        #expect(text.samples.filter { $0.name == "c" }.map(\.value).reduce(0, +) == 80_000)
        #expect(text.value("h_count") == 80_000)
        #expect(text.value("h_sum") == 80_000)
    }

    @Test("Buckets can be configured by name, and wrong ones are refused")
    func configuredBuckets() throws {
        let registry = PrometheusRegistry(configuration: try PrometheusConfiguration(buckets: ["apus_run_seconds": [1, 2]]))
        registry.histogram("apus_run_seconds").record(1.5)
        let text = try Exposition(registry)
        #expect(text.samples.filter { $0.name == "apus_run_seconds_bucket" }.map(\.value) == [0, 1, 1])
        for bounds in [[], [2, 1], [1, 1], [.infinity], [.nan]] as [[Double]] {
            let error = #expect(throws: ApusError.self) { try PrometheusConfiguration(buckets: ["h": bounds]) }
            #expect(error?.place == "metrics.buckets.h")
        }
        #expect(throws: ApusError.self) { try PrometheusConfiguration(maxSeriesPerFamily: 0, buckets: [:]) }
    }

    @Test("The process' memory, time and start are read at each scrape")
    func process() throws {
        let registry = PrometheusRegistry()
        registry.reportProcess()
        let text = try Exposition(registry)
        #expect(try #require(text.value("process_resident_memory_bytes")) > 1_000_000)
        #expect(try #require(text.value("process_start_time_seconds")) > 1_600_000_000)
        #expect(try #require(text.value("process_cpu_seconds_total")) >= 0)
    }

    @Test("proc(5) is read past a process name with spaces and parentheses")
    func procStat() throws {
        let fields = (3...52).map { $0 == 3 ? "S" : String($0) }.joined(separator: " ")
        let statistics = try #require(
            ProcessStatistics(
                stat: "1 (a) b (c) \(fields)\n", systemStat: "cpu 1 2 3\nbtime 1000\n", pageSize: 4096, ticksPerSecond: 100
            )
        )
        // Fields 14 and 15 are CPU time, 22 the start, 24 the resident pages.
        #expect(statistics == ProcessStatistics(residentBytes: 24 * 4096, cpuSeconds: 0.29, startTime: 1000.22))
        #expect(ProcessStatistics(stat: "1 (a) S 4", systemStat: "btime 1\n", pageSize: 1, ticksPerSecond: 1) == nil)
        #expect(ProcessStatistics(stat: "", systemStat: "", pageSize: 1, ticksPerSecond: 1) == nil)
    }
}
