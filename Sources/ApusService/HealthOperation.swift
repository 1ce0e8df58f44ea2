/// Whether requests should be sent here.
struct HealthOperation: Sendable {
    let catalog: any ModelCatalog
    let devices: (any DeviceCatalog)?

    func report(draining: Bool) -> ReadinessReport {
        ReadinessReport(draining: draining, models: catalog.readiness, standing: devices?.standing)
    }
}

/// The answer of `/health/ready`.
package struct ReadinessReport: Sendable, Equatable {
    package let draining: Bool
    package let models: [ModelReadiness]
    /// Nil for a service that knows of no devices.
    package let standing: ServiceStanding?

    package init(draining: Bool, models: [ModelReadiness], standing: ServiceStanding? = nil) {
        self.draining = draining
        self.models = models
        self.standing = standing
    }

    /// True when there is a model, every model that was not unloaded gave its known answer on at least one device, some capacity is there, and the process is not
    /// on its way out.
    package var isReady: Bool {
        let named = Set(models.lazy.filter { $0.state != .unloaded }.map { Array($0.model.utf8) })
        let ready = Set(models.lazy.filter { $0.state == .ready }.map { Array($0.model.utf8) })
        let hasCapacity = standing.map { $0.capacity > 0 } ?? true
        return !draining && hasCapacity && !named.isEmpty && named == ready
    }
}
