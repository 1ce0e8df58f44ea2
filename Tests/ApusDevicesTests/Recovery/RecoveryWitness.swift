import ApusDevices
import ApusExecution
import ApusTensor

/// Watches what one ``DeviceRecovery`` wants done and says what it must not want. Knows nothing of its inside: it keeps books of its own
/// from events and actions alone.
struct RecoveryWitness {
    private let policy: RecoveryPolicy
    private var latestWorker = 0
    /// The worker that runs or starts.
    private var living: Int?
    private var isReady = false
    private var rightAnswers = 0
    private(set) var isAdmitted = false
    private var lastStart: Int?
    /// Setbacks in a row that are the device's alone, and when the last one was.
    private var setbacks = 0
    private var setbackAt: Int?
    /// Batches that went well since the last failure of any kind.
    private var goodRuns = 0

    init(_ policy: RecoveryPolicy) {
        self.policy = policy
    }

    /// To be called before the device handles the event.
    mutating func hear(_ event: RecoveryEvent, now: Int) {
        switch event {
        case .workerReady(let number) where number == living: isReady = true
        case .spawnFailed(let number, let code) where number == living && !isReady:
            bury()
            if code != .resourcesExhausted { setBack(now) }
        case .workerDied(let number, let death) where number == living:
            bury()
            if death.cause != .killed, death.cause != .stopped { death.running == 0 ? setBack(now) : doubt() }
        case .knownAnswer(let number, let answer) where number == living && isReady:
            if answer == .right { rightAnswers += 1 } else if !isAdmitted || answer == .wrong { setBack(now) }
        case .batch(let report) where report.result == .succeeded:
            if isAdmitted { goodRuns += 1 }
            if goodRuns >= policy.probes.goodRuns { setbacks = 0 }
        case .batch(let report):
            goodRuns = 0
            // The report of a death may come before its news.
            if case .failed(let failure, _) = report.result, [.crashed, .sticky, .hung].contains(failure) { doubt() }
        // Somebody wants the device back at once.
        case .operatorProbe, .advice(.none), .started: setbackAt = nil
        default: break
        }
    }

    /// Nobody knows whose fault it was, or it was an input's: says nothing about the back-off that is due.
    private mutating func doubt() {
        goodRuns = 0
        setbacks = 0
        setbackAt = nil
    }

    private mutating func setBack(_ now: Int) {
        goodRuns = 0
        setbacks += 1
        setbackAt = now
    }

    private mutating func bury() {
        living = nil
        isReady = false
        rightAnswers = 0
    }

    /// The first thing that is wrong with what the device wants, nil when nothing is.
    mutating func complaint(about actions: [RecoveryAction], _ recovery: DeviceRecovery, now: Int) -> String? {
        for action in actions {
            if let complaint = complaint(about: action, now) { return "\(complaint): \(action)" }
        }
        if recovery.isServing != isAdmitted { return "serves without being admitted, or the reverse" }
        if recovery.currentWorker != living { return "takes worker \(String(describing: living)) for another" }
        if let wake = recovery.nextWake, wake <= now { return "wants to be woken in the past" }
        if !(recovery.weight > 0 && recovery.weight <= 1 && recovery.batchShare > 0 && recovery.batchShare <= 1) { return "bad share" }
        if recovery.device.kind == .cpu, recovery.fallback == .permanent { return "a CPU device is given up" }
        if recovery.isServing, recovery.fallback != .none { return "serves and falls back" }
        let isAtRest = recovery.stage.isWell && living == nil
        if (recovery.awaySince == nil) != (recovery.isServing || isAtRest) { return "forgets since when it is away" }
        return nil
    }

    private mutating func complaint(about action: RecoveryAction, _ now: Int) -> String? {
        switch action {
        case .startWorker(let worker):
            guard living == nil, !isAdmitted else { return "starts a second worker" }
            guard worker == latestWorker + 1 else { return "numbers workers wrongly" }
            if let lastStart, now - lastStart < policy.restarts.spacing.nanoseconds { return "starts follow too fast" }
            if let setbackAt, now - setbackAt < Self.backoff(setbacks, policy) {
                return "flaps: waits \(now - setbackAt) ns after setback \(setbacks)"
            }
            living = worker
            latestWorker = worker
            lastStart = now
            isReady = false
            rightAnswers = 0
        case .killWorker(let worker):
            guard worker == living else { return "kills what does not live" }
            guard !isAdmitted else { return "kills what it did not withdraw" }
            bury()
        case .prove(let worker, _):
            guard worker == living, isReady else { return "asks what cannot answer" }
        case .admit(let worker):
            guard worker == living, isReady, !isAdmitted else { return "admits what is not there" }
            guard rightAnswers >= policy.probes.rightAnswers else { return "admits after \(rightAnswers) right answers" }
            isAdmitted = true
        case .withdraw(let worker, _):
            guard isAdmitted, worker == latestWorker else { return "withdraws what does not serve" }
            isAdmitted = false
        case .setWeight(let share), .setBatchShare(let share):
            guard isAdmitted else { return "sets shares of what does not serve" }
            guard share > 0, share <= 1 else { return "sets a bad share" }
        case .note: break
        }
        return nil
    }

    /// 0, 1, 2, 4 … 30 seconds under the standard policy.
    private static func backoff(_ setbacks: Int, _ policy: RecoveryPolicy) -> Int {
        var wait = 0
        for setback in 1..<max(2, setbacks + 1) where setback > 1 {
            wait = wait == 0 ? policy.restarts.backoffStart.nanoseconds : min(2 * wait, policy.restarts.backoffMax.nanoseconds)
        }
        return wait
    }
}

extension DeviceStage {
    fileprivate var isWell: Bool { self == .healthy || self == .suspect || self == .shrunk }
}

extension Duration {
    var nanoseconds: Int { Int(components.seconds) * 1_000_000_000 + Int(components.attoseconds / 1_000_000_000) }
}
