package import CoreMetrics

/// Makes a ``PrometheusRegistry`` the backend of swift-metrics: `MetricsSystem.bootstrap(PrometheusMetricsFactory(registry))`.
///
/// A gauge that is destroyed is no longer shown: nobody knows its value any more, and a last value that stands still reads as a
/// present one. Counters and histograms live as long as the registry, since one that vanishes and starts again reads as a restart.
package struct PrometheusMetricsFactory: MetricsFactory {
    package let registry: PrometheusRegistry

    package init(_ registry: PrometheusRegistry) {
        self.registry = registry
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        registry.counter(label, dimensions)
    }

    package func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        registry.counter(label, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        registry.gauge(label, dimensions)
    }

    /// An aggregating recorder is a histogram, any other keeps its last value as a gauge.
    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate { registry.histogram(label, dimensions) } else { registry.gauge(label, dimensions) }
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        registry.histogram(label, dimensions)
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) { forgetGauge(handler) }
    package func destroyRecorder(_ handler: any RecorderHandler) { forgetGauge(handler) }
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func forgetGauge(_ handler: Any) {
        if let series = handler as? ScalarSeries { registry.removeGauge(series) }
    }
}
