import ApusDevices
import ApusExecution
import ApusFleet
import ApusService
import ApusTensor

extension DeviceDescription {
    /// Without the models, which the fleet does not know by their names.
    init(_ device: FleetStatus.Device) {
        self.init(
            device: device.device.description, kind: device.device.kind.rawValue, role: device.role.name, name: device.info.name,
            uuid: device.info.uuid, state: State(device), stage: device.stage.rawValue, health: Health(device.verdict ?? HealthVerdict()))
        fallback = device.fallback.rawValue
        servesAs = device.servesAs?.rawValue
        share = device.share
        worker = device.identity.map { Worker(pid: $0.pid, engine: $0.engineVersion) }
        restarts = device.restarts
        cores = device.cores
        lanes = device.lanes
        usesTensorRT = device.usesTensorRT
        usesCUDAGraphs = device.usesCUDAGraphs
        grade = device.grade?.rawValue
        memory = device.memory.map(Memory.init)
        gpu = device.device.kind.isAccelerator ? GPUDescription(device.info) : nil
        work.batches = device.batches
        work.failures = device.failures
        work.sequences = device.sequences
        work.averageLatencyMilliseconds = device.averageSeconds.map { $0 * 1000 }
        work.textsPerSecond = device.sequencesPerSecond
        work.lastFailure = device.lastFailure?.rawValue
        lastReason = device.lastReason.map { Reason(code: $0.code.rawValue, text: $0.text) }
    }
}

extension DeviceDescription.State {
    init(_ device: FleetStatus.Device) {
        self =
            if device.isServing {
                .serving
            } else if device.isResting {
                .standby
            } else if device.role != .intended, device.isReady || device.stage == .healthy {
                .standby
            } else {
                device.fallback == .none ? .starting : .away
            }
    }
}

extension FleetRecovery.Role {
    fileprivate var name: String {
        switch self {
        case .intended: "intended"
        case .spare: "spare"
        case .standby: "standby"
        }
    }
}

extension DeviceDescription.Health {
    init(_ verdict: HealthVerdict) {
        self.init(
            verdict: verdict.outcome.rawValue,
            findings: verdict.findings.map { .init(subject: $0.subject.rawValue, outcome: $0.outcome.rawValue, text: $0.text) })
    }
}

extension DeviceDescription.Memory {
    fileprivate init(_ memory: DeviceMemory) {
        self.init(
            allocatedBytes: memory.allocatedBytes, reservedBytes: memory.reservedBytes, maxAllocatedBytes: memory.maxAllocatedBytes,
            totalBytes: memory.totalBytes, utilizationPercent: memory.utilizationPercent)
        weights = .init(layers: memory.weights.layers, embedding: memory.weights.embedding, head: memory.weights.head)
        let use = memory.buffers
        buffers = .init(hits: use.hits, misses: use.misses, heldBytes: use.heldBytes, trimmedBytes: use.trimmedBytes)
    }
}
