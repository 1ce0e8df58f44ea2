import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusRuntime
import ApusTensor

extension FleetPlanner {
    /// One CPU device with a lane for each core.
    mutating func wholeCPU(_ reason: String, role: FleetRecovery.Role) -> FleetPlan.Member {
        let device = DeviceID(.cpu, 0)
        decisions.removeAll { $0.device == device }
        decisions.append(.init(device, role == .intended ? .chosen : .standIn, reason))
        var settings = ExecutorSettings(device: device, lanes: inventory.cpu.available, engineLibrary: engineLibrary)
        settings.memoryLimitBytes = wishes.sessions.processorLimitBytes
        return FleetPlan.Member(
            settings, role: role,
            info: GPUInfo(device: device, name: inventory.cpu.modelName ?? "CPU"))
    }

    func member(_ device: ResolvedDevice, role: FleetRecovery.Role) -> FleetPlan.Member {
        let sessions = wishes.sessions
        var settings = ExecutorSettings(device: device.id, lanes: lanes(device), engineLibrary: engineLibrary)
        // A device that has all cores anyway is better left to the system, which moves its threads as others come and go.
        if let cores = device.cores, cores.cores.count < inventory.cpu.cores.count { settings.cores = cores.cores }
        settings.memoryLimitBytes = wishes.sessions.processorLimitBytes
        guard device.id.kind.isAccelerator else { return FleetPlan.Member(settings, role: role, info: device.info) }
        settings.memoryLimitBytes = sessions.memoryLimitBytes
        settings.assignment = sessions.assignment
        settings.providerLibrary = device.providerLibrary
        settings.cudaGraphs = sessions.cudaGraphs
        settings.tf32 = sessions.tf32
        if device.id.kind == .cuda, let tensorRT = sessions.tensorRT, hasTensorRT { settings.tensorRT = tensorRT }
        return FleetPlan.Member(settings, role: role, info: device.info)
    }

    /// Says what is special about the devices that were taken, and what is asked for and cannot be had on them, each once.
    mutating func noteSpecialities(_ members: [FleetPlan.Member]) {
        let devices = members.map(\.settings.device)
        if devices.contains(where: { $0.kind == .sim }) {
            notes.append(
                .init(.warning, "SIMULATED: sim devices stand for accelerators in tests; they compute on the CPU and their sensors are made up"))
        }
        if wishes.sessions.tensorRT != nil, devices.contains(where: { $0.kind == .cuda }), !hasTensorRT {
            let offered = inventory.engineProviders.joined(separator: ", ")
            notes.append(.init(.warning, "TensorRT was asked for and this engine does not offer it, only \(offered): CUDA computes without"))
        }
        if let first = members.first(where: { !$0.settings.inapplicable.isEmpty }) {
            for line in first.settings.inapplicable { notes.append(.init(.warning, line)) }
        }
    }

    private func lanes(_ device: ResolvedDevice) -> Int {
        if device.id.kind == .sim { return 1 }
        // Two on an accelerator: while one step computes, the next is made ready.
        return device.cores?.width ?? wishes.sessions.lanes ?? 2
    }

    private var hasTensorRT: Bool { inventory.engineProviders.contains("TensorrtExecutionProvider") }
}
