import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor

extension FleetPlanner {
    /// What ``AutoDeviceSelector`` takes, for all models together; the CPU where it takes none and that may stand in.
    mutating func chosenMembers() throws(ApusError) -> [FleetPlan.Member] {
        try checkNumbers()
        let cpu = GPUInfo(device: DeviceID(.cpu, 0), name: inventory.cpu.modelName ?? "CPU")
        let candidates = inventory.accelerators.map { info in
            DeviceCandidate(info, health: health(info), freeBytes: info.sample?.memory?.freeBytes, score: scores[info.device])
        }
        let selection = try AutoDeviceSelector.select(request, from: candidates + [DeviceCandidate(cpu, score: scores[cpu.device])])
        for verdict in selection.verdicts {
            let reason = verdict.reasons.joined(separator: "; ")
            decisions.append(.init(verdict.device, verdict.isChosen ? .chosen : .passedOver, reason))
            guard !verdict.isChosen, verdict.device.kind.isAccelerator else { continue }
            notes.append(.init(.warning, "\(verdict.device) is passed over: \(reason)"))
        }
        let chosen = inventory.accelerators.filter { selection.chosen.contains($0.device) }
        if !chosen.isEmpty { return chosen.map { member(resolved($0), role: .intended) } }
        if let refusal = inventory.gpus.isEmpty ? nil : inventory.absence(of: .cuda), wishes.choice.prefersAccelerators {
            notes.append(.init(.warning, "the GPUs of this machine are not used: \(refusal)"))
        }
        if selection.chosen.contains(cpu.device) { return [wholeCPU(cpuReason, role: .intended)] }
        // The CPU is always there, but whoever leaves it out and forbids it to stand in does not want it.
        guard wishes.recovery.fallback == .cpu else {
            throw wishes.choice.origin.error("none of the preferred kinds of device can be used", advice: "Available: \(inventory.summary)")
        }
        return [wholeCPU("none of the preferred kinds of device can be used", role: .intended)]
    }

    func resolved(_ info: GPUInfo) -> ResolvedDevice {
        ResolvedDevice(info: info, providerLibrary: inventory.providerLibrary(info.device.kind))
    }

    private var request: SelectionRequest {
        let (bytes, overflow) = models.reduce((0, false)) { sum, need in
            let (bytes, overflow) = sum.0.addingReportingOverflow(need.bytes)
            return (bytes, sum.1 || overflow)
        }
        let choice = wishes.choice
        return SelectionRequest(
            model: models.map(\.model).joined(separator: ", "), modelBytes: overflow ? .max : bytes,
            preference: choice.prefersAccelerators ? .accelerators : .cpu, kinds: choice.preference,
            memoryLimitBytes: wishes.sessions.memoryLimitBytes, performanceThreshold: choice.performanceThreshold ?? 1,
            preferredDevices: choice.cudaDevices.map { DeviceID(.cuda, $0) }, count: choice.isMultiple ? .all : .upTo(1), links: links)
    }

    /// Device numbers of the settings that are not there.
    private mutating func checkNumbers() throws(ApusError) {
        let gpus = inventory.accelerators(.cuda)
        for number in wishes.choice.cudaDevices where !gpus.contains(where: { $0.device.index == number }) {
            let message = "there is no device cuda:\(number); available: \(inventory.summary)"
            guard wishes.recovery.fallback != .fail else { throw wishes.choice.origin.error(message) }
            if !gpus.isEmpty { notes.append(.init(.warning, "\(wishes.choice.origin.prefix)\(message)")) }
        }
    }

    private var cpuReason: String {
        if !wishes.choice.prefersAccelerators { return "accelerators are switched off (gpu.enabled)" }
        if wishes.choice.preference.first == .cpu { return "the CPU comes first in device_preference" }
        return inventory.absence(of: .cuda) ?? "no accelerator can be used"
    }
}
