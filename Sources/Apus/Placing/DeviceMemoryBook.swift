package import ApusBatching
import ApusCheckpoint
package import ApusDevices
package import ApusErrors
import ApusExecution
package import ApusFleet
import ApusRuntime
import ApusSimulation
package import ApusTensor
import NIOConcurrencyHelpers

/// The memory of a fleet's devices and the models that it was promised to.
package final class DeviceMemoryBook: Sendable {
    private let ledger: NIOLockedValueBox<MemoryLedger>
    private let lanes: [DeviceID: Int]

    /// Bytes of an accelerator that no model is promised: the driver's context and the workspaces of its libraries.
    static let contextBytes = 512 << 20

    /// - Parameter hostBytes: memory that all devices which compute on the CPU share.
    package init(_ plan: FleetPlan, hostBytes: Int = HostMemory.current.bytes) {
        var ledger = MemoryLedger()
        let processors = plan.members.filter { $0.settings.device.kind == .cpu && $0.role != .standby }.count
        for member in plan.members {
            let device = member.settings.device
            switch device.kind {
            case .cpu:
                // A twentieth is left to this process and to the system.
                let share = hostBytes / max(1, processors)
                let limit = min(share, member.settings.memoryLimitBytes ?? .max)
                ledger.open(device, total: share, limit: limit, reserve: limit / 20)
            case .sim:
                ledger.open(device, total: SimulatedDevices.memoryBytes, limit: member.settings.memoryLimitBytes)
            case .cuda, .openvino, .webgpu, .tensorrtrtx:
                // Of a device that does not tell its memory nothing is refused.
                let memory = member.info.sample?.memory
                let total = memory?.totalBytes ?? .max / 4
                let limit = min(member.settings.memoryLimitBytes ?? .max, memory?.freeBytes ?? .max)
                ledger.open(device, total: total, limit: min(limit, total), reserve: memory == nil ? 0 : Self.contextBytes)
            }
        }
        self.ledger = NIOLockedValueBox(ledger)
        lanes = Dictionary(plan.members.map { ($0.settings.device, $0.settings.lanes) }) { first, _ in first }
    }

    /// What is promised on each device.
    package var accounts: [DeviceID: MemoryLedger.Account] { ledger.withLockedValue { $0.accounts } }

    /// Decides how a model is cut on a device and promises it its memory there; what it had there before is taken back. Throws
    /// `insufficient_memory` with the arithmetic.
    func admit(
        _ model: String, _ memory: ModelMemory, _ request: SegmentRequest, as form: ServedForm, on device: DeviceID
    ) throws(ApusError) -> SegmentChoice {
        let lanes = lanes[device] ?? 1
        let result = ledger.withLockedValue { ledger in
            Result { () throws(ApusError) in
                ledger.release(model, on: device)
                let choice = memory.choice(request, as: form, on: device, lanes: lanes, free: ledger.accounts[device]?.free ?? .max)
                try ledger.admit(model, choice.needs, on: device)
                return choice
            }
        }
        return try result.get()
    }

    /// The same for a model that is not loaded yet, whose form is known. Throws `unsupported_plan`, too.
    package func admit(
        _ subject: PrecisionSubject, _ name: String, _ request: SegmentRequest, _ policy: BatchPolicy, maxTokens: Int?, as choice: PrecisionChoice,
        on device: DeviceID
    ) throws(ApusError) -> SegmentChoice {
        try request.check(subject.checkpoint)
        let longest = min(maxTokens ?? .max, subject.checkpoint.maxTokens)
        let needs = ModelMemory(subject.checkpoint, policy: policy, maxTokens: longest)
        return try admit(name, needs, request, as: ServedForm(choice), on: device)
    }

    /// Promises a model what it needs on a device; what it had there before is taken back.
    func admit(_ model: String, _ needs: [MemoryLedger.Purpose: Int], on device: DeviceID) throws(ApusError) {
        let result = ledger.withLockedValue { ledger in
            Result { () throws(ApusError) in
                ledger.release(model, on: device)
                try ledger.admit(model, needs, on: device)
            }
        }
        try result.get()
    }

    func release(_ model: String, on device: DeviceID) {
        ledger.withLockedValue { $0.release(model, on: device) }
    }
}
