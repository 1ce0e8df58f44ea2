import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Testing

/// Random sequences of events, among them impossible and late ones.
@Suite struct RecoveryPropertyTests {
    static let sequences = 12_000
    static let length = 70

    private struct Run {
        var recovery: DeviceRecovery
        var witness: RecoveryWitness
        var now = 0
        var log: [(time: Int, event: RecoveryEvent, actions: [RecoveryAction])] = []
        var complaint: String?

        var story: String {
            log.suffix(25).map { "\(Double($0.time) / 1e9) \($0.event) -> \($0.actions)" }.joined(separator: "\n")
        }

        init(_ device: DeviceID, _ policy: RecoveryPolicy) {
            recovery = DeviceRecovery(device: device, policy: policy)
            witness = RecoveryWitness(policy)
        }

        @discardableResult
        mutating func send(_ event: RecoveryEvent, after nanoseconds: Int = 0) -> [RecoveryAction] {
            now += nanoseconds
            // What is due at this time is done before the event, and the books must show it so.
            let due = step(.wake)
            return event == .wake ? due : due + step(event)
        }

        private mutating func step(_ event: RecoveryEvent) -> [RecoveryAction] {
            witness.hear(event, now: now)
            let actions = recovery.handle(event, now: now)
            log.append((now, event, actions))
            if complaint == nil, let found = witness.complaint(about: actions, recovery, now: now) {
                complaint = "\(found)\n\(story)"
            }
            return actions
        }
    }

    private func policy(_ random: inout SeededGenerator) throws -> RecoveryPolicy {
        var (ladder, restarts, probes, patience) = (
            RecoveryPolicy.Ladder(), RecoveryPolicy.Restarts(), RecoveryPolicy.Probes(), RecoveryPolicy.Patience()
        )
        guard Bool.random(using: &random) else { return .standard }
        ladder.retryLimit = .random(in: 0...4, using: &random)
        ladder.temporaryLimit = ladder.retryLimit + .random(in: 0...4, using: &random)
        restarts.limit = .random(in: 0...6, using: &random)
        probes.rightAnswers = .random(in: 1...4, using: &random)
        probes.goodRuns = .random(in: 1...12, using: &random)
        patience.start = .seconds(.random(in: 1...700, using: &random))
        patience.excusedDeaths = .random(in: 1...9, using: &random)
        return try RecoveryPolicy(ladder: ladder, restarts: restarts, probes: probes, patience: patience)
    }

    private func event(_ run: Run, _ random: inout SeededGenerator) -> RecoveryEvent {
        var worker = run.recovery.currentWorker ?? run.recovery.restartCount + 1
        if Int.random(in: 0..<16, using: &random) == 0 { worker += .random(in: -2...1, using: &random) }
        let blame = [BatchReport.Blame.device, .input, .nobody].randomElement(using: &random) ?? .nobody
        let report = { (result: BatchReport.Result, random: inout SeededGenerator) in
            BatchReport(
                device: run.recovery.device, result: result, sequences: 2, tokens: 9,
                seconds: Double.random(in: 0...3, using: &random))
        }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<16: return .workerReady(worker: worker)
        case 16..<38: return .knownAnswer(worker: worker, .right)
        case 38..<40: return .knownAnswer(worker: worker, Bool.random(using: &random) ? .wrong : .failed)
        case 40..<43: return .spawnFailed(worker: worker, Bool.random(using: &random) ? .engineFailure : .resourcesExhausted)
        case 43..<60: return .batch(report(.succeeded, &random))
        case 60..<63: return .batch(report(.failed(.outOfMemory, blame), &random))
        case 63..<72:
            // A lost device is the end of a run, so it is left to a rarer event.
            let failure = DeviceFailure.allCases.filter { $0 != .lost }.randomElement(using: &random) ?? .engine
            return .batch(report(.failed(failure, blame), &random))
        case 72..<80:
            let cause = WorkerDeath.Cause.allCases.randomElement(using: &random) ?? .killed
            return .workerDied(worker: worker, WorkerDeath(cause, running: .random(in: 0...2, using: &random)))
        case 80..<87:
            let outcome = HealthVerdict.Outcome.allCases.randomElement(using: &random) ?? .healthy
            let subject = HealthVerdict.Subject.allCases.randomElement(using: &random) ?? .clocks
            return .verdict(HealthVerdict([.init(subject, outcome, "random")]))
        case 87..<89: return .xid([13, 31, 43, 48, 63, 74, 94, 95, 109, 154, 999].randomElement(using: &random) ?? 13)
        case 89..<91: return .advice(RecoveryAdvice.allCases.randomElement(using: &random) ?? .none)
        case 91:
            guard Int.random(in: 0..<12, using: &random) == 0 else { return .wake }
            return Bool.random(using: &random) ? .deviceLost : .batch(report(.failed(.lost, blame), &random))
        case 92: return .operatorProbe
        case 93: return .retired
        case 94..<97: return .started
        default: return .wake
        }
    }

    /// From zero to days, and often just to the moment that the device wants.
    private func pause(_ run: Run, _ random: inout SeededGenerator) -> Int {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3: return 0
        case 3..<7: return .random(in: 0...2_000_000_000, using: &random)
        case 7: return run.recovery.currentWorker == nil || run.recovery.isServing ? run.recovery.nextWake.map { $0 - run.now } ?? 0 : 0
        case 8: return .random(in: 0...60_000_000_000, using: &random)
        default: return Bool.random(using: &random) ? 0 : .random(in: 0...1_200_000_000_000, using: &random)
        }
    }

    /// Every event comes as one would wish it. Says what keeps the device from serving, nil when it serves.
    private func bringBack(_ run: inout Run) -> String? {
        if run.recovery.stage != .restarting, !run.recovery.isServing { run.send(.started) }
        for _ in 0..<200 {
            if run.recovery.isServing { return nil }
            // Also when the death of a worker long gone is counted only now.
            if run.recovery.stage == .quarantined { run.send(.operatorProbe) }
            guard let worker = run.recovery.currentWorker else {
                guard let wake = run.recovery.nextWake else { return "nothing is to wake it" }
                run.send(.wake, after: wake - run.now)
                continue
            }
            run.send(.workerReady(worker: worker), after: 1_000_000)
            run.send(.knownAnswer(worker: worker, .right), after: 1_000_000)
        }
        return "it did not come back"
    }

    private func recoverFully(_ run: inout Run) -> String? {
        for _ in 0..<run.recovery.policy.probes.goodRuns {
            run.send(.batch(BatchReport(device: run.recovery.device, result: .succeeded, sequences: 1, tokens: 1, seconds: 0.001)))
        }
        if run.recovery.isOnTrial { return "stays on trial" }
        // Deaths that nobody is blamed for yet may still be counted; nothing else may happen.
        for _ in 0..<200 where run.recovery.stage != .healthy {
            guard run.recovery.isServing, let wake = run.recovery.nextWake else { break }
            run.send(.wake, after: wake - run.now)
        }
        return run.recovery.stage == .healthy || run.recovery.stage == .quarantined ? nil : "stays \(run.recovery.stage)"
    }

    @Test func nothingForbiddenHappensAndEveryStateHasItsExit() throws {
        var stages: [DeviceStage: Int] = [:]
        for seed in 0..<Self.sequences {
            var random = SeededGenerator(seed: UInt64(seed))
            let kind = [DeviceID.Kind.cpu, .cuda, .sim].randomElement(using: &random) ?? .cpu
            var run = Run(DeviceID(kind, seed % 8), try policy(&random))
            run.send(.started)
            for _ in 0..<Self.length {
                run.send(event(run, &random), after: pause(run, &random))
                stages[run.recovery.stage, default: 0] += 1
            }
            if run.recovery.stage == .lost {
                run.send(.operatorProbe)
                #expect(run.recovery.stage == .lost && run.recovery.nextWake == nil)
            } else {
                let stuck = bringBack(&run) ?? recoverFully(&run)
                #expect(stuck == nil, "seed \(seed), \(run.recovery.device)\n\(run.story)")
                if stuck != nil { return }
            }
            #expect(run.complaint == nil, "seed \(seed), \(run.recovery.device)")
            if run.complaint != nil { return }
        }
        // A run that never saw a stage proves nothing about it.
        for stage in DeviceStage.allCases { #expect(stages[stage, default: 0] > 100, "\(stage)") }
    }
}
