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
        checkKeys()
        checkShares()
        checkReplicas()
        let accelerators = configuration.accelerators
        if let precision = accelerators.precision, let other = accelerators.memoryPrecision, precision != other,
            let origin = origins["gpu.memory.precision"]
        {
            report(origin, "gpu.memory.precision", "\(other.rawValue) contradicts gpu.optimization.precision, \(precision.rawValue); take one of them out")
        }
        if let fallback = configuration.devices.fallback, fallback != .fail, !configuration.accelerators.isFallbackEnabled,
            let origin = origins["devices.fallback"]
        {
            report(origin, "devices.fallback", "'\(fallback.rawValue)' contradicts gpu.fallback_enabled: false; take one of them out")
        }
        if let retries = configuration.devices.retryLimit, let limit = configuration.devices.temporaryLimit, retries > limit,
            let origin = origins["devices.retry_limit"]
        {
            report(origin, "devices.retry_limit", "\(retries) is more than devices.temporary_limit, \(limit)")
        }
        // A list of devices goes before preferences among them.
        guard !configuration.accelerators.isFallbackEnabled, configuration.accelerators.isEnabled, configuration.devices.list == nil else {
            return
        }
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

    /// Weights mean nothing without the others.
    private mutating func checkShares() {
        let classes = ["high", "medium", "low"].map { "batching.shares.\($0)" }
        if !configuration.batching.shares.isWhole, let origin = classes.compactMap({ origins[$0] }).first {
            return report(origin, "batching.shares", "weights are named for all of high, medium and low, or for none")
        }
        for (index, model) in configuration.models.enumerated() {
            guard !model.batching.over(configuration.batching).shares.isWhole, let origin = origins["models"] else { continue }
            report(origin, "models[\(index)].batching.shares", "weights are named for all of high, medium and low, or for none")
        }
    }

    /// The bounds of scaling go around the number to start with.
    private mutating func checkReplicas() {
        func fault(_ parallel: Configuration.Parallel) -> String? {
            let (least, most) = (parallel.minReplicas ?? 1, parallel.maxReplicas ?? .max)
            if least > most { return "parallel.min_replicas, \(least), is more than parallel.max_replicas, \(most)" }
            guard let replicas = parallel.replicas, !(least...most).contains(replicas) else { return nil }
            return "parallel.replicas, \(replicas), is outside parallel.min_replicas to parallel.max_replicas"
        }
        let keys = ["min_replicas", "max_replicas", "replicas"].map { "parallel.\($0)" }
        if let fault = fault(configuration.parallel), let key = keys.first(where: { origins[$0] != nil }), let origin = origins[key] {
            return report(origin, key, fault)
        }
        for (index, model) in configuration.models.enumerated() {
            guard let fault = fault(model.parallel.over(configuration.parallel)), let origin = origins["models"] else { continue }
            report(origin, "models[\(index)].parallel", fault)
        }
    }

    private mutating func checkKeys() {
        guard let origin = origins["auth.keys_file"] ?? origins["auth.keys"] else { return }
        let place = origins["auth.keys_file"] == nil ? "auth.keys" : "auth.keys_file"
        let keys = configuration.auth.keys
        for (index, key) in keys.enumerated() {
            if keys[..<index].contains(where: { $0.name == key.name }) { report(origin, place, "two keys are called '\(key.name)'") }
            if let other = keys[..<index].first(where: { $0.sha256 == key.sha256 }) {
                report(origin, place, "'\(other.name)' and '\(key.name)' are the same key")
            }
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

    /// Whether the list of devices has one of a kind that is neither CPU nor CUDA, which the machine is asked about.
    private var namesAccelerator: Bool {
        let kinds = (configuration.devices.list ?? "").split(separator: ",").map { $0.prefix { $0 != ":" } }
        return kinds.contains { kind in !["auto", "cpu", "cuda"].contains(kind) && !kind.isEmpty && !kind.allSatisfy(\.isNumber) }
    }

    private func note(_ key: ConfigurationKey, _ machine: MachineFeatures) -> String? {
        switch key.effect {
        case .none(let reason):
            return "has no effect: \(reason)"
        case .needsCUDA:
            guard machine.cudaDevices == 0 else { return nil }
            return "no CUDA device on this machine: has no effect"
        case .needsAccelerator:
            guard machine.cudaDevices == 0, !namesAccelerator else { return nil }
            guard case .choice(let names) = key.kind, names == ConfigurationSchema.precisions else {
                return "no accelerator is used: has no effect"
            }
            return "no accelerator is used: has no effect, CPUs take precision, which is \(configuration.precision.rawValue)"
        case .needsTargetLatency:
            let batching = configuration.models.map { $0.batching.over(configuration.batching) } + [configuration.batching]
            let lacksTarget = configuration.batching.isAdaptive == true && batching.allSatisfy { $0.targetLatency == nil }
            return lacksTarget ? "has no effect without batching.target_latency_ms, the latency that sizes would follow" : nil
        case .applies:
            guard key.path == "gpu.device_preference" else { return nil }
            let available = machine.cudaDevices > 0 ? ["cuda", "cpu"] : ["cpu"]
            let missing = configuration.accelerators.preference.filter { !available.contains($0) }
            return missing.isEmpty ? nil : "not on this machine and passed over: \(missing.joined(separator: ", "))"
        }
    }
}
