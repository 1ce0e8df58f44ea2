import ApusDevices
import ApusExecution
import ApusTensor
import Testing

@Suite struct FleetRecoveryTests {
    typealias Member = FleetRecovery.Member

    private static let second = 1_000_000_000

    private func member(
        _ kind: DeviceID.Kind, _ index: Int, _ role: FleetRecovery.Role, serving: Bool = true, fallback: FallbackStage = .temporary,
        since: Int = 0, rate: Double? = nil
    ) -> Member {
        var member = Member(DeviceRecovery(device: DeviceID(kind, index)), role, rate: rate)
        member.isStarted = serving || role != .standby
        member.isServing = serving
        member.fallback = serving ? .none : fallback
        member.awaySince = serving || role == .standby ? nil : since
        return member
    }

    private func standby(_ index: Int = 0, started: Bool = false, serving: Bool = false, rate: Double? = nil) -> Member {
        var member = member(.cpu, index, .standby, serving: serving, rate: rate)
        member.isStarted = started || serving
        return member
    }

    private func names(_ plan: RemedyPlan) -> [String] { plan.serving.map { "\($0.device) \($0.fallback.rawValue)" } }

    @Test func healthyDevicesServeAndNobodyElse() {
        let plan = FleetRecovery(fallback: .cpu).plan(
            [member(.cuda, 0, .intended), member(.cuda, 1, .intended), member(.cuda, 2, .spare), standby()], now: 0)
        #expect(plan.remedy == .none && plan.capacity == 1 && plan.start == [] && plan.nextLook == nil)
        #expect(names(plan) == ["cuda:0 none", "cuda:1 none"])
    }

    @Test func theOtherDevicesComeFirst() {
        let plan = FleetRecovery(fallback: .cpu).plan(
            [member(.cuda, 0, .intended, serving: false), member(.cuda, 1, .intended), standby()], now: 0)
        #expect(plan.remedy == .fewerDevices && plan.capacity == 0.5 && plan.start == [])
        #expect(names(plan) == ["cuda:1 none"])
    }

    @Test(arguments: [FallbackStage.temporary, .permanent])
    func thenSpareDevicesWithTheStageOfThoseTheyReplace(stage: FallbackStage) {
        let plan = FleetRecovery(fallback: .otherDevices).plan(
            [member(.cuda, 0, .intended, serving: false, fallback: stage), member(.cuda, 1, .spare), member(.cuda, 2, .spare)], now: 0)
        #expect(plan.remedy == .spareDevices && plan.capacity == 1)
        #expect(names(plan) == ["cuda:1 \(stage.rawValue)"])
    }

    @Test func aStandInIsTemporaryAsLongAsOneDeviceIsExpectedBack() {
        let plan = FleetRecovery(fallback: .cpu).plan(
            [
                member(.cuda, 0, .intended, serving: false, fallback: .permanent),
                member(.cuda, 1, .intended, serving: false, fallback: .temporary), standby(serving: true),
            ], now: 0)
        #expect(plan.remedy == .cpu && names(plan) == ["cpu:0 temporary"])
    }

    @Test func theCPUIsStartedAtOnceWhenNobodyIsExpectedBack() {
        let plan = FleetRecovery(fallback: .cpu).plan(
            [member(.cuda, 0, .intended, serving: false, fallback: .permanent), standby()], now: 0)
        #expect(plan.remedy == .nobody && plan.start == [DeviceID(.cpu, 0)] && !plan.isHopeless)
    }

    @Test func theCPUIsNotStartedForARestartThatIsSoonOver() {
        let fleet = FleetRecovery(fallback: .cpu, patience: .seconds(3))
        let members = [member(.cuda, 0, .intended, serving: false, since: 10 * Self.second), standby()]
        let soon = fleet.plan(members, now: 12 * Self.second)
        #expect(soon.start == [] && soon.nextLook == 13 * Self.second && !soon.isHopeless)
        let later = fleet.plan(members, now: 13 * Self.second)
        #expect(later.start == [DeviceID(.cpu, 0)] && later.nextLook == nil)
    }

    @Test func theCPUIsKeptUntilADeviceHasShownThatItServes() {
        let fleet = FleetRecovery(fallback: .cpu)
        var back = member(.cuda, 0, .intended)
        back.isOnTrial = true
        let trial = fleet.plan([back, standby(serving: true)], now: 0)
        #expect(trial.stop == [] && names(trial) == ["cuda:0 none"])
        back.isOnTrial = false
        #expect(fleet.plan([back, standby(serving: true)], now: 0).stop == [DeviceID(.cpu, 0)])
    }

    @Test func aCPUThatIsBeingStartedIsNotStartedAgain() {
        let plan = FleetRecovery(fallback: .cpu).plan(
            [member(.cuda, 0, .intended, serving: false, fallback: .permanent), standby(started: true)], now: 0)
        #expect(plan.start == [] && plan.remedy == .nobody && !plan.isHopeless)
    }

    @Test func withoutFallbackRequestsAreRefused() {
        let fleet = FleetRecovery(fallback: .fail)
        let lost = member(.cuda, 0, .intended, serving: false, fallback: .permanent)
        let plan = fleet.plan([lost, member(.cuda, 1, .spare), standby()], now: 0)
        #expect(plan.remedy == .nobody && plan.isHopeless && plan.serving == [] && plan.start == [] && plan.capacity == 0)
        // But not while a worker is only being restarted.
        let members = [member(.cuda, 0, .intended, serving: false, since: Self.second)]
        let short = fleet.plan(members, now: 2 * Self.second)
        #expect(!short.isHopeless && short.nextLook == 4 * Self.second)
        #expect(fleet.plan(members, now: 4 * Self.second).isHopeless)
        // And the devices that are left serve on.
        #expect(names(fleet.plan([lost, member(.cuda, 1, .intended)], now: 0)) == ["cuda:1 none"])
    }

    @Test func requestsWaitForADeviceThatLoadsForTheFirstTime() {
        let loading = member(.cuda, 0, .intended, serving: false, fallback: .none)
        let plan = FleetRecovery(fallback: .fail).plan([loading], now: 500 * Self.second)
        #expect(!plan.isHopeless && plan.nextLook == nil)
    }

    @Test func requestsWaitForAWorkerThatIsOnItsWay() {
        let fleet = FleetRecovery(fallback: .fail, patience: .seconds(3))
        func plan(startsAt second: Int?, now: Int) -> RemedyPlan {
            var away = member(.cuda, 0, .intended, serving: false)
            away.startsAt = second.map { $0 * Self.second }
            return fleet.plan([away, member(.cuda, 1, .intended, serving: false, fallback: .permanent)], now: now * Self.second)
        }
        #expect(!plan(startsAt: 1, now: 500).isHopeless)
        #expect(!plan(startsAt: 503, now: 500).isHopeless)
        #expect(plan(startsAt: 504, now: 500).isHopeless)
        #expect(plan(startsAt: nil, now: 500).isHopeless)
        // However short it has been away.
        #expect(!plan(startsAt: 4, now: 1).isHopeless)
        #expect(plan(startsAt: 5, now: 1).isHopeless)
    }

    @Test func aWorkerIsOnItsWayFromTheDeathOfTheLastUntilItServes() {
        var recovery = DeviceRecovery(device: DeviceID(.cpu, 0))
        _ = recovery.handle(.started, now: 0)
        #expect(recovery.startsAt == 0)
        _ = recovery.handle(.workerReady(worker: 1), now: 10)
        #expect(recovery.startsAt == 10)
        for _ in 0..<3 { _ = recovery.handle(.knownAnswer(worker: 1, .right), now: 20) }
        #expect(recovery.isServing && recovery.startsAt == nil)
        _ = recovery.handle(.workerDied(worker: 1, WorkerDeath(.killed, running: 1)), now: 30)
        #expect(recovery.startsAt == Self.second)
    }

    @Test func capacityCountsMeasuredRatesAndWeights() {
        let fleet = FleetRecovery(fallback: .cpu)
        var suspect = member(.cuda, 0, .intended, rate: 300)
        suspect.weight = 0.5
        let slow = member(.cuda, 1, .intended, serving: false, rate: 100)
        #expect(fleet.plan([suspect, slow], now: 0).capacity == 0.375)
        let lost = member(.cuda, 0, .intended, serving: false, fallback: .permanent, rate: 1000)
        #expect(fleet.plan([lost, standby(serving: true, rate: 50)], now: 0).capacity == 0.05)
        #expect(fleet.plan([lost, standby(serving: true)], now: 0).capacity == 0.1)
        #expect(fleet.plan([lost, standby(serving: true, rate: 5000)], now: 0).capacity == 1)
        #expect(fleet.plan([lost, standby(serving: true, rate: .nan)], now: 0).capacity == 0.1)
        // A device that was lost before it was measured leaves nothing to compare with.
        let unknown = member(.cuda, 0, .intended, serving: false)
        #expect(fleet.plan([unknown, standby(serving: true, rate: 5000)], now: 0).capacity == 0.1)
    }

    @Test func noDevicesAreNoFleet() {
        let plan = FleetRecovery(fallback: .cpu).plan([], now: 0)
        #expect(plan.serving == [] && plan.capacity == 0 && plan.isHopeless)
    }

    /// Random fleets: who serves may serve, who may not does not, and the CPU is in reach whenever it may stand in.
    @Test func everyFleetHasAWayToServeThatItsPolicyAllows() {
        for seed in 0..<20_000 {
            var random = SeededGenerator(seed: UInt64(seed))
            let policy = RecoveryPolicy.Fallback.allCases.randomElement(using: &random) ?? .cpu
            let now = 100 * Self.second
            var members = (0..<Int.random(in: 1...8, using: &random)).map { index in
                let role = [FleetRecovery.Role.intended, .spare].randomElement(using: &random) ?? .intended
                let stage = FallbackStage.allCases.randomElement(using: &random) ?? .none
                var member = member(
                    .cuda, index, index == 0 ? .intended : role, serving: Bool.random(using: &random), fallback: stage,
                    since: .random(in: 0...now, using: &random), rate: Bool.random(using: &random) ? 10 : nil)
                if !member.isServing, member.fallback != .permanent { member.startsAt = .random(in: 0...(2 * now), using: &random) }
                return member
            }
            members.append(standby(started: Bool.random(using: &random), serving: Bool.random(using: &random)))
            members.shuffle(using: &random)
            let plan = FleetRecovery(fallback: policy).plan(members, now: now)
            let byDevice = Dictionary(uniqueKeysWithValues: members.map { ($0.device, $0) })
            let served = plan.serving.compactMap { byDevice[$0.device] }
            var faults: [String] = []
            func must(_ holds: Bool, _ what: String) { if !holds { faults.append(what) } }
            must(served.allSatisfy(\.isServing), "gives work to who does not serve")
            must(members.filter { $0.role == .intended && $0.isServing }.allSatisfy { served.contains($0) }, "leaves a device out")
            must(policy == .cpu || served.allSatisfy { $0.role != .standby }, "uses a CPU that it may not use")
            must(policy != .fail || served.allSatisfy { $0.role == .intended }, "uses a stand-in that it may not use")
            must(served.map { $0.role == .intended } == plan.serving.map { $0.fallback == .none }, "hides a fallback")
            must((0...1).contains(plan.capacity) && plan.serving.isEmpty == (plan.capacity == 0), "promises what it has not")
            must(plan.serving.isEmpty == (plan.remedy == .nobody), "misnames its remedy")
            must(plan.nextLook.map { $0 > now } ?? true, "looks into the past")
            let standby = byDevice[DeviceID(.cpu, 0)]
            if policy == .cpu {
                must(!plan.isHopeless, "gives up though there is a CPU")
                must(
                    !served.isEmpty || standby?.isStarted == true || plan.start == [DeviceID(.cpu, 0)] || plan.nextLook != nil,
                    "leaves the CPU out of reach")
            } else {
                must(plan.start == [], "starts a CPU that it may not use")
            }
            must(plan.stop.isEmpty || standby?.isStarted == true, "stops who was never started")
            must(Set(plan.start).isDisjoint(with: plan.stop), "starts and stops")
            must(!plan.stop.contains { device in plan.serving.contains { $0.device == device } }, "stops who serves")
            #expect(faults == [], "seed \(seed): \(plan)")
            if !faults.isEmpty { return }
        }
    }
}
