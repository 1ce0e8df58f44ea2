package import ApusErrors

/// The devices of this server, and what an operator may ask of them. A device is named as on the command line, `cuda:1`.
package protocol DeviceCatalog: Sendable {
    /// All devices as they stand, with what the system says of their processes' memory: some milliseconds.
    var report: DevicesReport { get }
    /// How much of their strength is there. Answers at once, for those who ask many times a second.
    var standing: ServiceStanding { get }

    /// Asks for a device that stays away to be tried now.
    /// - Throws: `.unknownDevice`.
    func probe(_ device: String) throws(ApusError) -> DeviceDescription
    /// Gives memory back that the device holds for later.
    /// - Throws: `.unknownDevice` and the device's failures.
    func clearCache(_ device: String) async throws(ApusError) -> DeviceDescription
    /// As ``clearCache(_:)`` for every device that has a worker; answers those that did it.
    func clearCaches() async -> [DeviceDescription]
    /// Takes down profiles of the next `steps` steps of a device.
    /// - Returns: the folder the files will be in, when it has begun.
    /// - Throws: `.unknownDevice`, `.invalidValue` (steps), `.fileUnwritable` and the device's failures.
    func profile(_ device: String, steps: Int) async throws(ApusError) -> String
}

/// All devices at one moment.
package struct DevicesReport: Sendable, Equatable {
    package var devices: [DeviceDescription]
    package var service: ServiceStanding
    /// Share of the inputs that stand-ins computed, 0 to 1.
    package var fallbackRate: Double
    package var uptimeSeconds: Double
    /// Share of the time since a device first served in which at least one did, 0 to 100; nil before.
    package var uptimePercent: Double?
    /// Of a batch, over all devices; nil before the first.
    package var averageLatencyMilliseconds: Double?
    /// Over the last minute, of all devices.
    package var textsPerSecond: Double
    /// The engine's name and version; nil while no worker has said it.
    package var engine: String?
    /// How devices share models; nil where each holds whole ones by itself.
    package var plan: PlanDescription?
    /// What is remembered of texts; nil where nothing is.
    package var cache: CacheDescription?

    package init(
        devices: [DeviceDescription], service: ServiceStanding, fallbackRate: Double, uptimeSeconds: Double, uptimePercent: Double?,
        averageLatencyMilliseconds: Double?, textsPerSecond: Double, engine: String?, plan: PlanDescription? = nil, cache: CacheDescription? = nil
    ) {
        self.cache = cache
        self.plan = plan
        self.devices = devices
        self.service = service
        self.fallbackRate = fallbackRate
        self.uptimeSeconds = uptimeSeconds
        self.uptimePercent = uptimePercent
        self.averageLatencyMilliseconds = averageLatencyMilliseconds
        self.textsPerSecond = textsPerSecond
        self.engine = engine
    }
}

/// How much of a server's strength is there, and what was done about the rest.
package struct ServiceStanding: Sendable, Equatable {
    /// Who serves in place of devices that do not: `none`, `fewer_devices`, `spare_devices`, `cpu`, `nobody`.
    package var remedy: String
    /// Share of the speed of the devices that are meant to serve, 0 to 1.
    package var capacity: Double
    /// The script of the failures that are caused on purpose; nil in normal operation.
    package var chaos: String?

    package init(remedy: String, capacity: Double, chaos: String?) {
        self.remedy = remedy
        self.capacity = capacity
        self.chaos = chaos
    }
}
