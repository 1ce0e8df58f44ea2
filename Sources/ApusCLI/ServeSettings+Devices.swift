import Apus
import ApusConfiguration
import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor

extension ServeSettings {
    /// What the configuration says about devices.
    ///
    /// - Parameter cache: makes a folder for what can be computed again; nil when there is none.
    func deviceWishes(cache: (String) -> String?) throws(ApusError) -> DeviceWishes {
        var wishes = DeviceWishes()
        let (devices, accelerators) = (configuration.devices, configuration.accelerators)
        if let list = devices.list { wishes.list = try DeviceWishes.List(list, origin: origin("devices.list")) }

        wishes.choice.prefersAccelerators = accelerators.isEnabled
        // Kinds that this build cannot run on are noted by the configuration.
        wishes.choice.preference = accelerators.preference.compactMap { name in
            DeviceID.Kind(rawValue: name == "tensorrt" ? "cuda" : name)
        }
        wishes.choice.cudaDevices = accelerators.deviceIDs
        wishes.choice.origin = origin("gpu.multi_gpu.device_ids", "gpu.device_id", "gpu.device_preference")
        wishes.choice.isMultiple = accelerators.isMultiple
        wishes.choice.performanceThreshold = devices.performanceThreshold

        wishes.sessions.memoryLimitBytes = (accelerators.memoryLimitMiB ?? devices.memoryLimitMiB).map { $0 << 20 }
        wishes.sessions.processorLimitBytes = devices.memoryLimitMiB.map { $0 << 20 }
        wishes.sessions.assignment = devices.assignment == .strict ? .strict : .report
        if accelerators.usesTensorRT || accelerators.preference.first == "tensorrt" {
            wishes.sessions.tensorRT = cache("tensorrt").map { ExecutorSettings.TensorRT(cacheDirectory: $0) }
        }
        wishes.sessions.cudaGraphs = devices.usesCUDAGraphs ? .on : .off
        wishes.sessions.tf32 = accelerators.allowsTF32 ? .allowed : .off
        wishes.sessions.lanes = accelerators.streams

        wishes.assignments.numbers = configuration.modelAssignments
        wishes.assignments.origin = origin("model_assignments")
        wishes.recovery = try recovery(devices, accelerators)
        return wishes
    }

    /// The libraries of plugin providers, by the kind of their devices.
    var plugins: [DeviceID.Kind: String] {
        var plugins: [DeviceID.Kind: String] = [:]
        for (name, library) in configuration.devices.plugins {
            if let kind = DeviceID.Kind(rawValue: name) { plugins[kind] = library }
        }
        return plugins
    }

    private func recovery(_ devices: Configuration.Devices, _ accelerators: Configuration.Accelerators) throws(ApusError) -> RecoveryPolicy {
        var ladder = RecoveryPolicy.Ladder()
        ladder.retryLimit = devices.retryLimit ?? min(ladder.retryLimit, devices.temporaryLimit ?? .max)
        ladder.temporaryLimit = devices.temporaryLimit ?? max(ladder.temporaryLimit, ladder.retryLimit)
        let fallback: RecoveryPolicy.Fallback =
            switch devices.fallback {
            case .cpu: .cpu
            case .otherDevices: .otherDevices
            case .fail: .fail
            case nil: accelerators.isFallbackEnabled ? .cpu : .fail
            }
        return try RecoveryPolicy(ladder: ladder, fallback: fallback)
    }

    /// Where the first of `keys` that is set was set.
    private func origin(_ keys: String...) -> DeviceWishes.Origin {
        for key in keys {
            switch origins[key] {
            case .option(let spelling): return .commandLine(spelling)
            case let origin?: return .settings("\(origin): \(key)")
            case nil: continue
            }
        }
        return .preset
    }
}
