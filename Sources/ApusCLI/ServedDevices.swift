import Apus
import ApusDevices
import ApusErrors
import ApusFleet
import ApusService
import ApusTensor
import ApusVectors

/// The devices of a running server as its operator sees them.
struct ServedDevices: DeviceCatalog {
    let fleet: Fleet
    let memory: DeviceMemoryBook
    let models: LoadedModels
    /// What is remembered of texts; nil for nothing.
    let cache: EmbeddingCache?
    /// The script of `--chaos`.
    let chaos: String?
    /// Where `logs/gpu_profiles` is.
    let directory: String

    var report: DevicesReport {
        let status = fleet.status()
        return DevicesReport(
            devices: status.devices.map(description),
            service: standing(status),
            fallbackRate: status.fallbackRate, uptimeSeconds: status.uptimeSeconds, uptimePercent: status.servingShare.map { $0 * 100 },
            averageLatencyMilliseconds: status.averageSeconds.map { $0 * 1000 }, textsPerSecond: status.sequencesPerSecond,
            engine: status.devices.compactMap(\.identity?.engineVersion).first.map { "ONNX Runtime \($0)" },
            plan: status.plan.map { PlanDescription($0, uptimeSeconds: status.uptimeSeconds) },
            cache: cache.map(CacheDescription.init))
    }

    var standing: ServiceStanding { standing(fleet.status()) }

    func probe(_ device: String) throws(ApusError) -> DeviceDescription {
        let id = try id(device)
        try fleet.probe(id)
        return try line(id)
    }

    func clearCache(_ device: String) async throws(ApusError) -> DeviceDescription {
        let id = try id(device)
        try await fleet.clearCache(id)
        return try line(id)
    }

    func clearCaches() async -> [DeviceDescription] {
        let cleared = await fleet.clearCaches()
        return fleet.status().devices.filter { cleared.contains($0.device) }.map(description)
    }

    func profile(_ device: String, steps: Int) async throws(ApusError) -> String {
        try await fleet.profile(try id(device), steps: steps, into: directory)
        return "\(directory)/logs/gpu_profiles"
    }

    private func standing(_ status: FleetStatus) -> ServiceStanding {
        ServiceStanding(remedy: status.remedy.rawValue, capacity: status.capacity, chaos: chaos)
    }

    private func line(_ device: DeviceID) throws(ApusError) -> DeviceDescription {
        guard let found = fleet.status().devices.first(where: { $0.device == device }) else { throw Self.unknown(device.description) }
        return description(found)
    }

    private func id(_ text: String) throws(ApusError) -> DeviceID {
        guard let id = DeviceID(text) else { throw Self.unknown(text) }
        return id
    }

    private static func unknown(_ device: String) -> ApusError {
        ApusError(.unknownDevice, "there is no device \(ClientText.quoted(device))")
    }

    private func description(_ device: FleetStatus.Device) -> DeviceDescription {
        var description = DeviceDescription(device)
        description.memory?.promisedBytes = memory.accounts[device.device]?.taken
        description.memory?.workerBytes = device.identity.flatMap { ProcessMemory.proportionalBytes(of: $0.pid) }
        description.models = models.served(on: device.lead ?? device.device)
        return description
    }
}
