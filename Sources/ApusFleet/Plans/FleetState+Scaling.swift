import ApusDevices
import ApusExecution
import ApusPlacement
import ApusTensor

// How many replicas there are.
extension FleetState {
    /// Between two looks at the queue, nanoseconds.
    private static let scalingInterval = 500_000_000

    /// Whether the scaling is to be asked. Not while units are being made: they would be counted as missing.
    func isScalingDue(now: Int) -> Bool {
        guard !isStopping, scaling != nil, let keeper, !keeper.isLooking else { return false }
        return now - scaledAt.time >= Self.scalingInterval
    }

    /// - Parameter queuedSeconds: of work that wait, of the model with the longest queue.
    mutating func scale(queuedSeconds: Double, now: Int) {
        guard var scaling, let keeper else { return }
        let busy = busyReplicaSeconds
        let elapsed = Double(now - scaledAt.time) * 1e-9
        let work = elapsed > 0 ? max(0, busy - scaledAt.busy) / elapsed : 0
        scaledAt = (now, busy)
        let size = max(1, keeper.wished.replicas.first?.devices.count ?? 1)
        let healthy = order.count { units[$0]?.member.role != .standby && !keeper.away.contains($0) }
        let observation = ReplicaScaling.Observation(
            now: now, queuedSeconds: queuedSeconds, admittedWork: work, replicas: keeper.replicas, healthyDevices: healthy / size)
        let action = scaling.decide(observation)
        self.scaling = scaling
        let count: Int
        switch action {
        case .none: return
        case .add: count = keeper.replicas + 1
        case .remove: count = keeper.replicas - 1
        }
        let waited = (queuedSeconds * 100).rounded() / 100
        guard self.keeper?.scale(to: count, "\(keeper.replicas) to \(count) replicas at \(waited) s of waiting work", now: now) == true else { return }
        arrange(now: now)
        replan(now: now)
    }

    /// Seconds that replicas were busy so far, each counted by its lanes.
    private var busyReplicaSeconds: Double {
        order.reduce(0) { sum, device in
            guard let unit = units[device], unit.member.role != .standby else { return sum }
            return sum + unit.account.busySeconds / Double(max(1, unit.settings.lanes))
        }
    }
}
