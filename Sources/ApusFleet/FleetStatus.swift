package import ApusDevices
package import ApusExecution
package import ApusTensor

/// A fleet at one moment, for people and programs that look at it.
package struct FleetStatus: Sendable {
    package struct Device: Sendable {
        package let info: GPUInfo
        package let role: FleetRecovery.Role
        package let stage: DeviceStage
        /// Whether a stand-in's clients are told that the device is expected back.
        package let fallback: FallbackStage
        /// Whether it takes work now.
        package let isServing: Bool
        /// Whether it could take work: its worker runs and has given its known answers.
        package let isReady: Bool
        /// The first device of the group that it is in; nil for one that is by itself.
        package let lead: DeviceID?
        /// Whether it is there and not needed, or there again and not taken back yet.
        package let isResting: Bool
        /// What clients that it serves are told.
        package let servesAs: FallbackStage?
        /// Share of a batch's token budget that it is given.
        package let share: Double
        package let lanes: Int
        package let cores: [Int]
        package let usesTensorRT: Bool
        package let usesCUDAGraphs: Bool
        package let identity: ExecutorIdentity?
        /// As of the last look at it; nil before the first, and while there is no worker.
        package let memory: DeviceMemory?
        package let restarts: Int
        package let batches: Int
        package let failures: Int
        package let sequences: Int
        package let busySeconds: Double
        /// Of a batch, in seconds, moving; nil before the first.
        package let averageSeconds: Double?
        /// Over the last minute.
        package let sequencesPerSecond: Double
        package let grade: PerformanceGrade?
        package let lastReason: RecoveryReason?
        package let lastFailure: DeviceFailure?
        package let verdict: HealthVerdict?

        package var device: DeviceID { info.device }
        /// Whether it goes by a name of its own, and is not one of a group or at rest.
        package var isUnit: Bool { !isResting && (lead ?? device) == device }
    }

    package let devices: [Device]
    /// Nil where every device serves by itself.
    package let plan: PlanStatus?
    package let remedy: RemedyPlan.Remedy
    /// Share of the intended speed that is there, 0 to 1.
    package let capacity: Double
    /// Since the fleet was made.
    package let uptimeSeconds: Double
    /// Share of the time since a device first served in which at least one did, 0 to 1; nil before.
    package let servingShare: Double?

    init(_ state: FleetState, _ source: any ExecutorSource, now: Int) {
        plan = PlanStatus(state)
        remedy = state.plan.remedy
        capacity = state.plan.capacity
        uptimeSeconds = Double(now) * 1e-9
        servingShare = state.servingTime.share(now: now)
        devices = state.order.compactMap { device in
            guard let unit = state.units[device] else { return nil }
            let lead = state.lead(of: device)
            // Of a group that serves, all devices do.
            let serving = lead.flatMap { state.units[$0] } ?? unit
            return Device(
                info: unit.info, role: unit.member.role, stage: unit.recovery.stage, fallback: unit.recovery.fallback,
                isServing: serving.opened != nil, isReady: serving.recovery.isServing, lead: lead, isResting: unit.duty == .rests,
                servesAs: serving.opened?.fallback, share: serving.share,
                lanes: unit.settings.lanes, cores: unit.member.settings.cores, usesTensorRT: unit.member.settings.tensorRT != nil,
                usesCUDAGraphs: unit.member.settings.cudaGraphs == .on,
                identity: serving.executor.flatMap { source.identity(of: $0.executor) },
                memory: serving.group?.latest.memory(of: device) ?? unit.memory.latest,
                restarts: unit.recovery.restartCount, batches: unit.account.batches, failures: unit.account.failures,
                sequences: unit.account.sequences, busySeconds: unit.account.busySeconds, averageSeconds: unit.account.averageSeconds,
                sequencesPerSecond: unit.account.recent.perSecond(now: now),
                grade: unit.judge.slowdown.map(PerformanceGrade.init(slowdown:)),
                lastReason: unit.recovery.lastReason, lastFailure: unit.account.lastFailure, verdict: unit.account.verdict)
        }
    }

    /// Share of sequences that stand-ins computed, 0 to 1.
    package var fallbackRate: Double {
        let all = devices.reduce(0) { $0 + $1.sequences }
        let standIns = devices.filter { $0.role != .intended }.reduce(0) { $0 + $1.sequences }
        return all == 0 ? 0 : Double(standIns) / Double(all)
    }

    /// Over the last minute, of all devices.
    package var sequencesPerSecond: Double { devices.reduce(0) { $0 + $1.sequencesPerSecond } }

    /// Of a batch, in seconds, over all devices by how many batches each ran; nil before the first.
    package var averageSeconds: Double? {
        let ran = devices.filter { $0.averageSeconds != nil && $0.batches > 0 }
        let batches = ran.reduce(0) { $0 + $1.batches }
        guard batches > 0 else { return nil }
        return ran.reduce(0.0) { $0 + ($1.averageSeconds ?? 0) * Double($1.batches) } / Double(batches)
    }
}
