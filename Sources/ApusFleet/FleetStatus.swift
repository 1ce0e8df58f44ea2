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
        /// What clients that it serves are told.
        package let servesAs: FallbackStage?
        /// Share of a batch's token budget that it is given.
        package let share: Double
        package let lanes: Int
        package let cores: [Int]
        package let identity: ExecutorIdentity?
        package let restarts: Int
        package let batches: Int
        package let failures: Int
        package let sequences: Int
        package let busySeconds: Double
        /// Of a batch, in seconds, moving; nil before the first.
        package let averageSeconds: Double?
        package let lastReason: RecoveryReason?
        package let lastFailure: DeviceFailure?
        package let verdict: HealthVerdict?

        package var device: DeviceID { info.device }
    }

    package let devices: [Device]
    package let remedy: RemedyPlan.Remedy
    /// Share of the intended speed that is there, 0 to 1.
    package let capacity: Double
    /// Since the fleet was made.
    package let uptimeSeconds: Double

    init(_ state: FleetState, _ source: any ExecutorSource, now: Int) {
        remedy = state.plan.remedy
        capacity = state.plan.capacity
        uptimeSeconds = Double(now) * 1e-9
        devices = state.order.compactMap { device in
            guard let unit = state.units[device] else { return nil }
            return Device(
                info: unit.info, role: unit.member.role, stage: unit.recovery.stage, fallback: unit.recovery.fallback,
                isServing: unit.opened != nil, servesAs: unit.opened?.fallback, share: unit.share, lanes: unit.member.settings.lanes,
                cores: unit.member.settings.cores, identity: unit.executor.flatMap { source.identity(of: $0.executor) },
                restarts: unit.recovery.restartCount, batches: unit.account.batches, failures: unit.account.failures,
                sequences: unit.account.sequences, busySeconds: unit.account.busySeconds, averageSeconds: unit.account.averageSeconds,
                lastReason: unit.recovery.lastReason, lastFailure: unit.account.lastFailure, verdict: unit.account.verdict)
        }
    }

    /// Share of sequences that stand-ins computed, 0 to 1.
    package var fallbackRate: Double {
        let all = devices.reduce(0) { $0 + $1.sequences }
        let standIns = devices.filter { $0.role != .intended }.reduce(0) { $0 + $1.sequences }
        return all == 0 ? 0 : Double(standIns) / Double(all)
    }
}
