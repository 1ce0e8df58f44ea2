import ApusTensor

extension ConfigurationReader {
    /// Finds settings that are fine alone and not together.
    mutating func checkTogether(_ machine: MachineFeatures) {
        let batching = configuration.batching
        if let preferred = batching.preferredSize, let maximum = batching.maxSize, preferred > maximum {
            let key = origins.keys.contains("gpu.batch.batch_size") ? "gpu.batch.batch_size" : "gpu.batch.default_size"
            if let origin = origins[key] { report(origin, key, "\(preferred) is more than the largest batch, \(maximum)") }
        }
        let ids = configuration.models.compactMap(\.id)
        if let origin = origins["models"], let twice = ids.first(where: { id in ids.filter { $0 == id }.count > 1 }) {
            report(origin, "models", "two models have the id '\(twice)'")
        }
        guard !configuration.accelerators.isFallbackEnabled, configuration.accelerators.isEnabled else { return }
        let available = machine.cudaDevices > 0 ? ["cuda", "cpu"] : ["cpu"]
        if let first = configuration.accelerators.preference.first, !available.contains(first), let origin = origins["gpu.device_preference"] {
            report(origin, "gpu.device_preference", "there is no \(first) device on this machine, and gpu.fallback_enabled is false")
        }
        let wanted = configuration.accelerators.deviceIDs + configuration.modelAssignments.values
        guard let missing = wanted.max(), missing >= machine.cudaDevices else { return }
        for key in ["gpu.device_id", "model_assignments"] {
            guard let origin = origins[key] else { continue }
            report(origin, key, "there is no CUDA device \(missing) on this machine, and gpu.fallback_enabled is false")
        }
    }

    /// A note for every key that was set and does nothing on `machine`.
    func notes(_ machine: MachineFeatures) -> [ConfigurationNote] {
        var notes: [ConfigurationNote] = []
        for key in order {
            guard let origin = origins[key.name], let message = note(key, machine) else { continue }
            notes.append(ConfigurationNote(origin: origin, key: key.name, message: message))
        }
        return notes
    }

    private func note(_ key: ConfigurationKey, _ machine: MachineFeatures) -> String? {
        switch key.effect {
        case .none(let reason):
            return "has no effect: \(reason)"
        case .needsCUDA:
            guard machine.cudaDevices == 0 else { return nil }
            if case .choice(let names) = key.kind, names == ConfigurationSchema.precisions {
                return "no CUDA device on this machine: has no effect, CPUs run \(configuration.precision.rawValue)"
            }
            return "no CUDA device on this machine: has no effect"
        case .applies:
            guard key.path == "gpu.device_preference" else { return nil }
            let available = machine.cudaDevices > 0 ? ["cuda", "cpu"] : ["cpu"]
            let missing = configuration.accelerators.preference.filter { !available.contains($0) }
            return missing.isEmpty ? nil : "not on this machine and passed over: \(missing.joined(separator: ", "))"
        }
    }
}
