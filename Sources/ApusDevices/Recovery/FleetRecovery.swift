package import ApusExecution
package import ApusTensor

/// Decides who serves when devices fail, in the order of remedies of DEV-7: the other devices that were meant to serve, spare devices, the
/// CPU. Pure: the states of all devices in, a plan out. Times are nanoseconds on the caller's clock.
package struct FleetRecovery: Sendable {
    /// What a device is there for.
    package enum Role: Sendable, Equatable {
        /// Meant to serve.
        case intended
        /// Healthy and loaded, stands in for an intended device.
        case spare
        /// A CPU device that is started when nothing else serves.
        case standby
    }

    package struct Member: Sendable, Equatable {
        package var device: DeviceID
        package var role: Role
        /// Measured speed, in any unit that all members share; nil when it was not measured.
        package var rate: Double?
        /// Whether its ``DeviceRecovery`` was told to start.
        package var isStarted: Bool
        package var isServing: Bool
        package var isOnTrial: Bool
        /// ``DeviceRecovery/weight``.
        package var weight: Double
        /// ``DeviceRecovery/fallback``.
        package var fallback: FallbackStage
        /// ``DeviceRecovery/awaySince``.
        package var awaySince: Int?
        /// ``DeviceRecovery/startsAt``.
        package var startsAt: Int?

        package init(_ recovery: DeviceRecovery, _ role: Role, rate: Double? = nil) {
            device = recovery.device
            self.role = role
            self.rate = rate
            isStarted = recovery.phase != .idle
            isServing = recovery.isServing
            isOnTrial = recovery.isOnTrial
            weight = recovery.weight
            fallback = recovery.fallback
            awaySince = recovery.awaySince
            startsAt = recovery.startsAt
        }
    }

    package let fallback: RecoveryPolicy.Fallback
    /// How long nothing serves, while devices are only being restarted, before the CPU is started: a restart takes about as long as loading
    /// a model on the CPU. Where it may not stand in, requests are refused after it unless a worker is started by then or will be within it.
    package let patience: Duration
    /// Speed of a standby CPU that was never measured, as a share of the intended devices' mean: GPUs are expected to be five to ten times
    /// as fast.
    package static let assumedStandbyRate = 0.1

    package init(fallback: RecoveryPolicy.Fallback, patience: Duration = .seconds(3)) {
        self.fallback = fallback
        self.patience = patience
    }

    package var patienceNanoseconds: Int { patience.wholeNanoseconds }

    /// Says who serves now. Members may be in any order, each device once.
    package func plan(_ members: [Member], now: Int) -> RemedyPlan {
        let intended = members.filter { $0.role == .intended }
        let away = intended.filter { !$0.isServing }
        var serving = intended.filter(\.isServing)
        var remedy: RemedyPlan.Remedy = away.isEmpty ? .none : .fewerDevices
        let spares = members.filter { $0.role == .spare && $0.isServing }
        if !away.isEmpty, fallback != .fail, !spares.isEmpty {
            serving += spares.prefix(away.count)
            remedy = .spareDevices
        }
        let standbys = fallback == .cpu ? members.filter { $0.role == .standby } : []
        if serving.isEmpty {
            serving = standbys.filter(\.isServing)
            remedy = serving.isEmpty ? .nobody : .cpu
        }
        var plan = RemedyPlan(
            remedy: remedy, serving: serving.map { RemedyPlan.Server(device: $0.device, fallback: stage($0, replacing: away)) },
            capacity: capacity(serving, intended), stop: standbysToStop(members, intended))
        if serving.isEmpty { rescue(&plan, intended, standbys, now) }
        return plan
    }

    /// A stand-in is temporary as long as one of those that it replaces is expected back.
    private func stage(_ server: Member, replacing away: [Member]) -> FallbackStage {
        guard server.role != .intended else { return .none }
        return away.allSatisfy { $0.fallback == .permanent } ? .permanent : .temporary
    }

    /// Nobody serves: starts the CPU, or gives up where there is none. At once when no device is expected back, or
    /// not soon and there is no CPU to start, else after a while.
    private func rescue(_ plan: inout RemedyPlan, _ intended: [Member], _ standbys: [Member], _ now: Int) {
        let idle = standbys.filter { !$0.isStarted }.map(\.device)
        guard standbys.isEmpty || !idle.isEmpty else { return }
        let expected = intended.filter { $0.fallback != .permanent }
        // Without a stand-in, requests wait for a worker that is on its way, or soon will be, however long it loads.
        let soon = now.addingSaturated(patience.wholeNanoseconds)
        if standbys.isEmpty, expected.contains(where: { $0.fallback == .none || $0.startsAt.map { $0 <= soon } ?? false }) { return }
        // With nobody on the way and nobody to start, a wait would only put the refusal off.
        let isFarOff = standbys.isEmpty && expected.allSatisfy { $0.startsAt != nil }
        if !isFarOff, let since = expected.compactMap(\.awaySince).max() {
            let time = since.addingSaturated(patience.wholeNanoseconds)
            guard time <= now else {
                plan.nextLook = time
                return
            }
        }
        plan.start = idle
        plan.isHopeless = standbys.isEmpty
    }

    /// Kept until a device that was meant to serve has shown that it does.
    private func standbysToStop(_ members: [Member], _ intended: [Member]) -> [DeviceID] {
        let isRelieved = intended.contains { $0.isServing && !$0.isOnTrial }
        guard isRelieved || fallback != .cpu else { return [] }
        return members.filter { $0.role == .standby && $0.isStarted }.map(\.device)
    }

    /// Speed of those that serve over the speed of the intended devices, 0 to 1.
    package func capacity(_ serving: [Member], _ intended: [Member]) -> Double {
        let known = intended.compactMap(\.usableRate)
        // Where no intended device was measured, a measured stand-in has nothing to be compared with.
        guard !known.isEmpty else {
            let given = serving.reduce(0.0) { $0 + ($1.role == .standby ? Self.assumedStandbyRate : 1) * $1.weight }
            return intended.isEmpty ? 0 : min(1, given / Double(intended.count))
        }
        let mean = known.reduce(0, +) / Double(known.count)
        let wanted = intended.reduce(0) { $0 + ($1.usableRate ?? mean) }
        guard wanted > 0 else { return 0 }
        let given = serving.reduce(0.0) { sum, member in
            let assumed = member.role == .standby ? mean * Self.assumedStandbyRate : mean
            return sum + (member.usableRate ?? assumed) * member.weight
        }
        return min(1, given / wanted)
    }
}

extension FleetRecovery.Member {
    fileprivate var usableRate: Double? {
        rate.flatMap { $0.isFinite && $0 > 0 ? $0 : nil }
    }
}

/// Who serves, and what is to be done about it.
package struct RemedyPlan: Sendable, Equatable {
    package enum Remedy: String, Sendable, CaseIterable {
        /// All intended devices serve.
        case none
        /// Some of the intended devices serve.
        case fewerDevices = "fewer_devices"
        /// Spare devices serve in place of some.
        case spareDevices = "spare_devices"
        /// Only the CPU serves.
        case cpu
        /// Requests wait, unless ``RemedyPlan/isHopeless``.
        case nobody
    }

    package struct Server: Sendable, Equatable {
        package var device: DeviceID
        /// What clients that it serves are told.
        package var fallback: FallbackStage

        package init(device: DeviceID, fallback: FallbackStage) {
            self.device = device
            self.fallback = fallback
        }
    }

    package var remedy: Remedy
    package var serving: [Server]
    /// Share of the intended speed that is there, 0 to 1.
    package var capacity: Double
    /// Standby devices to start.
    package var start: [DeviceID] = []
    /// Standby devices that are not needed any more.
    package var stop: [DeviceID]
    /// Nobody serves, and nobody is to be waited for: requests are refused with `no_device`.
    package var isHopeless = false
    /// When to ask again although nothing happened; nil for never.
    package var nextLook: Int?
}
