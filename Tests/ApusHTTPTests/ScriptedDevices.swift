import ApusErrors
import ApusService
import Synchronization

/// Two devices: a GPU that stays away and tells everything, and a CPU that stands in for it and tells little. Remembers what it was asked.
final class ScriptedDevices: DeviceCatalog {
    private let asked = Mutex<[String]>([])
    let standing: ServiceStanding
    /// What clearing caches and profiling fail with.
    let failure: ApusError?

    init(capacity: Double = 0.25, failure: ApusError? = nil) {
        standing = ServiceStanding(remedy: "cpu", capacity: capacity, chaos: "cuda:0:crash@1")
        self.failure = failure
    }

    var requests: [String] { asked.withLock { $0 } }

    static var away: DeviceDescription {
        var device = DeviceDescription(
            device: "cuda:0", kind: "cuda", role: "intended", name: "NVIDIA \"A\"\u{1}", uuid: "GPU-1", state: .away, stage: "restarting",
            health: .init(
                verdict: "throttle", findings: [.init(subject: "temperature", outcome: "throttle", text: "91 C, the driver slows it down at 93 C")]))
        device.fallback = "temporary"
        device.share = 0.5
        device.restarts = 3
        device.usesTensorRT = true
        device.work.batches = 10
        device.work.failures = 2
        device.work.sequences = 320
        device.work.lastFailure = "worker_crashed"
        device.lastReason = .init(code: "worker_crashed", text: "its worker\ncrashed")
        var gpu = GPUDescription()
        gpu.nvmlIndex = 4
        gpu.pciBusID = "0000:3B:00.0"
        gpu.memory = .init(totalBytes: 80 << 30, usedBytes: 1 << 29, freeBytes: 79 << 30)
        gpu.utilizationPercent = 37
        gpu.temperatureCelsius = 91
        gpu.powerWatts = 350.25
        gpu.powerLimitWatts = 700
        gpu.clockEvents = ["hardware_thermal"]
        gpu.ecc = .init(corrected: 1, uncorrected: nil)
        gpu.remappedRows = .init(corrected: 1, uncorrected: 2, isPending: true, hasFailed: false)
        gpu.pcieReplays = 5
        gpu.recovery = "reset"
        gpu.driverVersion = "570.1"
        gpu.cudaVersion = "12.8"
        gpu.computeCapability = "9.0"
        device.gpu = gpu
        return device
    }

    static var serving: DeviceDescription {
        var device = DeviceDescription(
            device: "cpu:0", kind: "cpu", role: "standby", name: "CPU", state: .serving, stage: "healthy", health: .init(verdict: "healthy"))
        device.servesAs = "temporary"
        device.worker = .init(pid: 42, engine: "1.31.1")
        device.cores = [0, 1]
        device.lanes = 2
        device.grade = "A"
        device.memory = .init(
            allocatedBytes: 3 << 19, reservedBytes: 2 << 20, maxAllocatedBytes: 2 << 20, totalBytes: 1 << 30, utilizationPercent: 0.146484375)
        device.memory?.weights = .init(layers: 1 << 20, embedding: 1 << 19, head: 1 << 18)
        device.memory?.buffers = .init(hits: 7, misses: 2, heldBytes: 1 << 19, trimmedBytes: 3 << 20)
        device.work.averageLatencyMilliseconds = 2.5
        device.work.textsPerSecond = 12.5
        device.models = ["m"]
        return device
    }

    var report: DevicesReport {
        DevicesReport(
            devices: [Self.away, Self.serving], service: standing, fallbackRate: 0.5, uptimeSeconds: 90.5, uptimePercent: 99.5,
            averageLatencyMilliseconds: 2.5, textsPerSecond: 12.5, engine: "ONNX Runtime 1.31.1")
    }

    func probe(_ device: String) throws(ApusError) -> DeviceDescription {
        note("probe \(device)")
        return Self.away
    }

    func clearCache(_ device: String) async throws(ApusError) -> DeviceDescription {
        note("clear \(device)")
        if let failure { throw failure }
        return Self.serving
    }

    func clearCaches() async -> [DeviceDescription] {
        note("clear all")
        return [Self.serving]
    }

    func profile(_ device: String, steps: Int) async throws(ApusError) -> String {
        note("profile \(device) \(steps)")
        if let failure { throw failure }
        return "here/logs/gpu_profiles"
    }

    private func note(_ request: String) { asked.withLock { $0.append(request) } }
}
