/// Whether requests should be sent here.
struct HealthOperation: Sendable {
    let catalog: any ModelCatalog

    func report(draining: Bool) -> ReadinessReport {
        ReadinessReport(draining: draining, models: catalog.readiness)
    }
}

/// The answer of `/health/ready`.
package struct ReadinessReport: Sendable, Equatable {
    package let draining: Bool
    package let models: [ModelReadiness]

    package init(draining: Bool, models: [ModelReadiness]) {
        self.draining = draining
        self.models = models
    }

    /// True when there is a model, every model gave its known answer on at least one device, and the process is not on its way out.
    package var isReady: Bool {
        let named = Set(models.map { Array($0.model.utf8) })
        let ready = Set(models.lazy.filter { $0.state == .ready }.map { Array($0.model.utf8) })
        return !draining && !named.isEmpty && named == ready
    }
}
