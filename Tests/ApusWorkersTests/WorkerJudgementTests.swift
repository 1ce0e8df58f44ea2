import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkerHost
import ApusWorkers
import Testing

/// The decisions that need no process: when to ping, when a worker is hung, what a death is, who is to blame.
@Suite struct WorkerJudgementTests {
    private static let second: Int64 = 1_000_000_000

    private func watch() -> WorkerWatch {
        WorkerWatch(interval: .milliseconds(500), patience: .seconds(2), start: 0)
    }

    @Test func aPingIsSentAtOnceAndThenEveryIntervalOnceItsAnswerCame() {
        var watch = watch()
        #expect(watch.look(at: 0, deadlines: [:]) == .ping)
        #expect(watch.look(at: 600_000_000, deadlines: [:]) == .wait)
        watch.ponged(at: 700_000_000)
        #expect(watch.lastPong == 700_000_000)
        #expect(watch.look(at: 700_000_000, deadlines: [:]) == .ping)
        watch.ponged(at: 700_000_001)
        #expect(watch.look(at: 1_199_999_999, deadlines: [:]) == .wait)
        #expect(watch.look(at: 1_200_000_000, deadlines: [:]) == .ping)
    }

    @Test func anUnansweredPingIsAHangAfterThePatienceAndNotBefore() {
        var watch = watch()
        #expect(watch.look(at: 0, deadlines: [:]) == .ping)
        #expect(watch.look(at: 2 * Self.second - 1, deadlines: [:]) == .wait)
        #expect(watch.look(at: 2 * Self.second, deadlines: [:]) == .hung(channels: []))
    }

    @Test func theChannelsThatMissedTheirDeadlinesAreNamed() {
        var watch = watch()
        #expect(watch.look(at: 5, deadlines: [1: 6, 2: 5, 3: 4]) == .hung(channels: [2, 3]))
        #expect(watch.look(at: 5, deadlines: [1: 6]) == .ping)
    }

    @Test func theNextLookIsAtTheEarliestOfAllAlarms() {
        var watch = watch()
        #expect(watch.nextLook(after: 0, deadlines: [:]) == 0)
        _ = watch.look(at: 0, deadlines: [:])
        // Not later than half a second, because steps may begin meanwhile.
        #expect(watch.nextLook(after: 0, deadlines: [:]) == 500_000_000)
        #expect(watch.nextLook(after: 0, deadlines: [1: 70, 2: 60]) == 60)
        #expect(watch.nextLook(after: 80, deadlines: [1: 70]) == 80)
        #expect(watch.nextLook(after: 1_900_000_000, deadlines: [:]) == 2 * Self.second)
    }

    @Test func aStepHasTwoSecondsOrThreeTimesWhatIsExpected() throws {
        let small = StepPace.Size([HostTensor([9], .float32([Float](repeating: 0, count: 9)))])
        var pace = StepPace()
        #expect(pace.expectedSeconds(small) == nil)
        #expect(pace.deadlineSeconds(small, first: .seconds(30)) == 30)
        pace.learn(small, seconds: 0.1)
        #expect(abs(try #require(pace.expectedSeconds(small)) - 0.1) < 1e-12)
        #expect(pace.deadlineSeconds(small, first: .seconds(30)) == 2)
        pace = StepPace()
        pace.learn(small, seconds: 4)
        #expect(abs(pace.deadlineSeconds(small, first: .seconds(30)) - 12) < 1e-9)
    }

    @Test func theLargerOfTheTwoPacesCounts() throws {
        func size(_ rows: Int, _ length: Int) -> StepPace.Size {
            StepPace.Size([HostTensor([rows, length], .int32([Int32](repeating: 0, count: rows * length)))])
        }
        var pace = StepPace()
        pace.learn(size(1, 100), seconds: 1)
        // Ten times the elements in rows of the same length: ten times the time.
        let wide = try #require(pace.expectedSeconds(size(10, 100)))
        #expect(wide > 9.8 && wide < 10)
        // One row of ten times the length: a hundred times.
        let long = try #require(pace.expectedSeconds(size(1, 1_000)))
        #expect(long > 98 && long < 100)
        // Short rows cost less for the attention but no less for the products.
        let short = try #require(pace.expectedSeconds(size(100, 1)))
        #expect(short > 0.98 && short < 1.02)
    }

    @Test func thePaceMovesTowardsWhatIsMeasured() throws {
        let size = StepPace.Size([HostTensor([4], .int32([1, 2, 3, 4]))])
        var pace = StepPace()
        pace.learn(size, seconds: 8)
        for _ in 0..<100 { pace.learn(size, seconds: 1) }
        let expected = try #require(pace.expectedSeconds(size))
        #expect(expected > 1 && expected < 1.01)
    }

    @Test(arguments: [
        (Verdict.gone, ProcessExit.signal(9), WorkerDeath.killed(signal: 9)),
        (.gone, .signal(15), .killed(signal: 15)), (.gone, .signal(2), .killed(signal: 2)), (.gone, .signal(1), .killed(signal: 1)),
        (.gone, .signal(11), .crashed(.signal(11))), (.gone, .signal(4), .crashed(.signal(4))),
        (.gone, .status(0), .crashed(.exit(0))), (.gone, .status(WorkerExit.sticky), .sticky), (.gone, .unknown, .crashed(.unknown)),
        (.stopped, .signal(9), .stopped), (.stopped, .unknown, .stopped), (.hung(channels: [1]), .signal(9), .hung),
        (.poisoned, .status(WorkerExit.sticky), .sticky), (.poisoned, .signal(9), .sticky),
        (.breach("x"), .signal(9), .crashed(.breach("x"))),
    ])
    func aDeathIsToldFromTheVerdictAndTheExit(verdict: Verdict, exit: ProcessExit, death: WorkerDeath) {
        #expect(WorkerDeath(verdict, exit) == death)
    }

    @Test func aProcessOnItsWayOutAnnouncesItsEnd() {
        func fields(flags: String, code: String) -> [Substring] {
            var fields = [Substring](repeating: "0", count: 50)
            (fields[6], fields[49]) = (Substring(flags), Substring(code))
            return fields
        }
        #expect(ProcessExit.announced(fields: fields(flags: "4194564", code: "9\n")) == .signal(9))
        #expect(ProcessExit.announced(fields: fields(flags: "4", code: "139")) == .signal(11))
        #expect(ProcessExit.announced(fields: fields(flags: "4", code: "22016")) == .status(86))
        #expect(ProcessExit.announced(fields: fields(flags: "4", code: "0")) == .status(0))
        #expect(ProcessExit.announced(fields: fields(flags: "4194560", code: "0")) == nil)
        #expect(ProcessExit.announced(fields: fields(flags: "x", code: "9")) == nil)
        #expect(ProcessExit.announced(fields: Array(fields(flags: "4", code: "9").prefix(49))) == nil)
    }

    @Test func afterAHangOnlyThoseThatMissedTheirDeadlineAreToBlame() {
        let hang = DeathRecord(death: .hung, verdict: .hung(channels: [2]))
        #expect(hang.failure(onChannel: 2) == .hung)
        #expect(hang.failure(onChannel: 1) == .killed)
        #expect(DeathRecord(death: .hung, verdict: .hung(channels: [])).failure(onChannel: 1) == .killed)
        #expect(DeathRecord(death: .crashed(.signal(11)), verdict: .gone).failure(onChannel: 1) == .crashed)
        #expect(DeathRecord(death: .stopped, verdict: .stopped).failure(onChannel: 0) == .unavailable)
    }

    @Test func stickyErrorsAreToldByTheCodeInTheEnginesText() {
        let text = " an illegal memory access was encountered ; GPU=0 ; hostname=h ; file=cuda_call.cc ; line=129 ; expr=x"
        for code in [214, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911] {
            #expect(StickyError.isSticky(ApusError(.engineFailure, "Non-zero status: CUDA failure \(code):\(text)")))
        }
        for code in [0, 1, 2, 70, 209, 713, 720, 7000, 999] {
            #expect(!StickyError.isSticky(ApusError(.engineFailure, "Non-zero status: CUDA failure \(code):\(text)")))
        }
        #expect(StickyError.isSticky(ApusError(.engineFailure, "CUDA failure 2: first CUDA failure 719: then")))
        #expect(StickyError.isSticky(ApusError(.engineFailure, "x", cause: ApusError(.engineFailure, "CUDA failure 700: y"))))
        #expect(StickyError.isSticky(ApusError(.devicePoisoned, "x")))
        for text in ["CUDA failure : 700", "CUDA failure 700", "CUDA failure 99999999999999999999: x", "cuda failure 700: x", ""] {
            #expect(!StickyError.isSticky(ApusError(.engineFailure, text)))
        }
    }

    @Test func absenceIsForgotten() {
        let clock = AwakeClock()
        let before = clock.now
        clock.forget(3_600 * Self.second)
        #expect(clock.now < before)
    }
}
