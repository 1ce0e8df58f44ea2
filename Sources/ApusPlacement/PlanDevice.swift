package import ApusTensor

/// A device as a plan sees it.
package struct PlanDevice: Sendable, Equatable {
    package enum Health: String, Sendable, CaseIterable {
        case healthy
        /// It serves, slower than it should.
        case throttled
        case unhealthy
    }

    package var id: DeviceID
    /// Bytes that may be used; nil where nobody set a limit.
    package var memoryLimitBytes: Int?
    /// Bytes that are free; nil where that is not known.
    package var freeBytes: Int?
    package var health: Health
    /// How fast it computes beside the others, above 0.
    package var speed: Double

    package init(_ id: DeviceID, memoryLimitBytes: Int? = nil, freeBytes: Int? = nil, health: Health = .healthy, speed: Double = 1) {
        self.id = id
        self.memoryLimitBytes = memoryLimitBytes
        self.freeBytes = freeBytes
        self.health = health
        self.speed = speed.isFinite && speed > 0 ? speed : 1
    }

    /// Bytes that a plan may put there.
    package var capacityBytes: Int {
        max(0, min(memoryLimitBytes ?? .max, freeBytes ?? .max))
    }

    /// The speed that a plan reckons with: of a throttled device half, as recovery does with its share of the work.
    package var plannedSpeed: Double { health == .throttled ? speed / 2 : speed }
}
