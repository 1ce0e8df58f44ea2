import ApusDevices
import ApusErrors
import ApusTensor
import Foundation
import Testing

@Suite struct HealthJudgeTests {
    private static let second = 1_000_000_000

    private func sample(_ change: (inout DeviceSample) -> Void = { _ in }) -> DeviceSample {
        var sample = DeviceSample(device: DeviceID(.cuda, 0))
        sample.memory = .init(totalBytes: 80 << 30, usedBytes: 40 << 30, freeBytes: 40 << 30)
        sample.temperatureCelsius = 60
        sample.slowdownCelsius = 93
        sample.shutdownCelsius = 98
        sample.pcieReplays = 5
        sample.eccUncorrected = 0
        change(&sample)
        return sample
    }

    private func judge(_ sample: DeviceSample) -> HealthVerdict {
        var judge = HealthJudge()
        return judge.verdict(sample, now: 0)
    }

    @Test func aDeviceWithoutFindingsIsHealthy() {
        let verdict = judge(sample())
        #expect(verdict.outcome == .healthy && verdict.findings == [])
    }

    @Test func whatADeviceDoesNotTellIsNotHeldAgainstIt() {
        #expect(judge(DeviceSample(device: DeviceID(.cuda, 0))).outcome == .healthy)
    }

    @Test func littleFreeMemoryThrottles() {
        let verdict = judge(sample { $0.memory = .init(totalBytes: 100 << 20, usedBytes: 98 << 20, freeBytes: 2 << 20) })
        #expect(verdict.outcome == .throttle && verdict.findings.map(\.subject) == [.memory])
        #expect(verdict.findings.first?.text == "2 of 100 MiB are free, 2 %, limit 3 %")
        #expect(judge(sample { $0.memory = .init(totalBytes: 100, usedBytes: 97, freeBytes: 3) }).outcome == .healthy)
        #expect(judge(sample { $0.memory = .init(totalBytes: 0, usedBytes: 0, freeBytes: 0) }).outcome == .healthy)
    }

    @Test(arguments: [(89, HealthVerdict.Outcome.healthy), (90, .throttle), (94, .throttle), (95, .fallBack), (105, .fallBack)])
    func temperatureIsComparedWithTheDevicesOwnThresholds(celsius: Int, outcome: HealthVerdict.Outcome) {
        #expect(judge(sample { $0.temperatureCelsius = celsius }).outcome == outcome)
    }

    @Test func temperatureWithoutThresholdsIsNoFinding() {
        let hot = sample {
            $0.temperatureCelsius = 150
            $0.slowdownCelsius = nil
            $0.shutdownCelsius = nil
        }
        #expect(judge(hot).outcome == .healthy)
    }

    @Test(arguments: [ClockEvents.hardwareSlowdown, .hardwareThermal, .powerBrake])
    func hardwareSlowdownsCountOverTenMinutes(event: ClockEvents) {
        var judge = HealthJudge()
        let slow = sample { $0.clockEvents = [event, .idle] }
        // Six in ten minutes are 0.6 a minute, the limit.
        for index in 0..<6 { #expect(judge.verdict(slow, now: index * 10 * Self.second).outcome == .healthy) }
        let verdict = judge.verdict(slow, now: 60 * Self.second)
        #expect(verdict.outcome == .throttle && verdict.findings.map(\.subject) == [.clocks])
        #expect(judge.verdict(sample(), now: 599 * Self.second).outcome == .throttle)
        #expect(judge.verdict(sample(), now: 600 * Self.second).outcome == .healthy)
    }

    @Test func powerCapsAndIdleClocksAreNoSlowdowns() {
        var judge = HealthJudge()
        for index in 0..<100 {
            let capped = sample { $0.clockEvents = [.softwarePowerCap, .idle, .softwareThermal] }
            #expect(judge.verdict(capped, now: index * Self.second).outcome == .healthy)
        }
    }

    @Test func pcieReplaysCountByTheirGrowth() {
        var judge = HealthJudge()
        #expect(judge.verdict(sample { $0.pcieReplays = 10_000 }, now: 0).outcome == .healthy)
        #expect(judge.verdict(sample { $0.pcieReplays = 10_008 }, now: 30 * Self.second).outcome == .healthy)
        let verdict = judge.verdict(sample { $0.pcieReplays = 10_009 }, now: 60 * Self.second)
        #expect(verdict.outcome == .throttle && verdict.findings.map(\.subject) == [.pcie])
        // Not grown for a minute.
        #expect(judge.verdict(sample { $0.pcieReplays = 10_009 }, now: 121 * Self.second).outcome == .healthy)
        // Counted anew after the driver was loaded again.
        #expect(judge.verdict(sample { $0.pcieReplays = 0 }, now: 122 * Self.second).outcome == .healthy)
        #expect(judge.verdict(sample { $0.pcieReplays = 3 }, now: 150 * Self.second).outcome == .healthy)
    }

    @Test func newUncorrectedErrorsAreInvestigated() {
        var judge = HealthJudge()
        #expect(judge.verdict(sample { $0.eccUncorrected = 7 }, now: 0).outcome == .healthy, "from before Apus was there")
        #expect(judge.verdict(sample { $0.eccUncorrected = 8 }, now: 10 * Self.second).outcome == .investigate)
        #expect(judge.verdict(sample { $0.eccUncorrected = 8 }, now: 600 * Self.second).outcome == .investigate)
        #expect(judge.verdict(sample { $0.eccUncorrected = 8 }, now: 610 * Self.second).outcome == .healthy)
    }

    @Test func brokenRowsAreInvestigatedAndIrreplaceableOnesFallBack() {
        for (isPending, hasFailed, outcome) in [
            (false, false, HealthVerdict.Outcome.healthy), (true, false, .investigate), (true, true, .fallBack), (false, true, .fallBack),
        ] {
            let rows = DeviceSample.RemappedRows(corrected: 1, uncorrected: 2, isPending: isPending, hasFailed: hasFailed)
            #expect(judge(sample { $0.remappedRows = rows }).outcome == outcome)
        }
        #expect(judge(sample { $0.hasRetiredPagesPending = true }).outcome == .investigate)
    }

    @Test func aDeviceThatDoesNotAnswerIsNotHealthy() {
        #expect(judge(sample { $0.answer = .lost }).outcome == .fallBack)
        #expect(judge(sample { $0.answer = .needsReset }).outcome == .fallBack)
        let failed = judge(sample { $0.answer = .failed(code: 999) })
        #expect(failed.outcome == .investigate && failed.findings.first?.text.contains("999") == true)
    }

    @Test func theWorstFindingComesFirst() {
        let verdict = judge(
            sample {
                $0.temperatureCelsius = 92
                $0.hasRetiredPagesPending = true
                $0.remappedRows = .init(corrected: 0, uncorrected: 1, isPending: false, hasFailed: true)
            })
        #expect(verdict.findings.map(\.outcome) == [.fallBack, .investigate, .throttle] && verdict.outcome == .fallBack)
    }

    @Test func aWrongKnownAnswerHoldsUntilARightOne() {
        var judge = HealthJudge()
        judge.record(.failed)
        #expect(judge.verdict().outcome == .healthy)
        judge.record(.wrong)
        #expect(judge.verdict().outcome == .fallBack)
        judge.record(.failed)
        #expect(judge.verdict(sample(), now: 0).findings.map(\.subject) == [.knownAnswer])
        judge.record(.right)
        #expect(judge.verdict().outcome == .healthy)
    }

    // A device whose batches cost 1 ms and 10 us for every token.
    private func run(_ judge: inout HealthJudge, tokens: Int, times factor: Double = 1, count: Int, at now: Int = 0) {
        for _ in 0..<count { judge.record(tokens: tokens, seconds: factor * (0.001 + 1e-5 * Double(tokens)), now: now) }
    }

    @Test func aDeviceIsSlowComparedWithItself() {
        var judge = HealthJudge()
        #expect(judge.slowdown == nil)
        run(&judge, tokens: 300, count: 100)
        #expect(judge.verdict().outcome == .healthy)
        run(&judge, tokens: 300, times: 1.8, count: 100)
        #expect(judge.verdict().outcome == .healthy)
        run(&judge, tokens: 300, times: 5, count: 16)
        #expect(judge.verdict().outcome == .throttle)
        #expect(judge.verdict().findings.map(\.subject) == [.performance])
        run(&judge, tokens: 300, count: 16)
        #expect(judge.verdict().outcome == .healthy)
    }

    @Test func aDeviceThatWaitsForAProcessorIsNotSlow() {
        // Four times as long from the 20th batch on: in one case it computes all the time, in the other for a quarter of it.
        for (share, isSlow) in [(1.0, true), (0.25, false)] {
            var judge = HealthJudge()
            var (now, computed) = (0, 0.0)
            for batch in 0..<60 {
                let taken = batch < 20 ? 0.01 : 0.04
                computed += batch < 20 ? taken : taken * share
                now += Int(taken * 1e9)
                judge.record(tokens: 1000, seconds: taken, computed: computed, now: now)
            }
            #expect((judge.verdict().outcome == .throttle) == isSlow, "\(judge.slowdown ?? 0)")
        }
    }

    @Test func processorTimeIsThatOfAProcess() throws {
        let own = ProcessInfo.processInfo.processIdentifier
        let before = try #require(ProcessorTime.seconds(of: own))
        var sum = 0.0
        while try #require(ProcessorTime.seconds(of: own)) < before + 0.01 { sum += 1 }
        #expect(sum > 0)
        // Beyond the highest number that Linux gives.
        #expect(ProcessorTime.seconds(of: (1 << 22) + 1) == nil)
    }

    @Test func smallBatchesAreNoSlowness() {
        var judge = HealthJudge()
        run(&judge, tokens: 3000, count: 200)
        // Thirty times as long for a token, as they always take.
        run(&judge, tokens: 4, count: 200)
        #expect(judge.verdict().outcome == .healthy)
        run(&judge, tokens: 4, times: 3, count: 16)
        #expect(judge.verdict().outcome == .throttle)
    }

    @Test func slownessIsNotTakenForUsualWithinHours() {
        var judge = HealthJudge()
        run(&judge, tokens: 300, count: 100)
        for minute in 0..<60 { run(&judge, tokens: 300, times: 4, count: 100, at: minute * 60 * Self.second) }
        #expect(judge.verdict().outcome == .throttle)
        // But days later it is.
        for minute in 60..<6000 { run(&judge, tokens: 300, times: 4, count: 20, at: minute * 60 * Self.second) }
        #expect(judge.verdict().outcome == .healthy)
    }

    @Test func aNewWorkerStartsWithoutASlowPast() {
        var judge = HealthJudge()
        run(&judge, tokens: 300, count: 100)
        run(&judge, tokens: 300, times: 5, count: 16)
        judge.workerChanged()
        #expect(judge.slowdown == nil && judge.verdict().outcome == .healthy)
        // What is usual is remembered.
        run(&judge, tokens: 300, times: 5, count: 16)
        #expect(judge.verdict().outcome == .throttle)
    }

    @Test func impossibleTimesArePassedOver() {
        var judge = HealthJudge()
        for (tokens, seconds) in [(0, 1.0), (-4, 1), (5, 0), (5, -1), (5, .nan), (5, .infinity), (.max, 1)] {
            for _ in 0..<30 { judge.record(tokens: tokens, seconds: seconds, now: 0) }
        }
        #expect(judge.verdict().outcome == .healthy)
    }

    @Test func impossibleLimitsAreRefused() {
        #expect(throws: ApusError.self) { try HealthLimits(leastFreeShare: 1.5) }
        #expect(throws: ApusError.self) { try HealthLimits(leastFreeShare: .nan) }
        #expect(throws: ApusError.self) { try HealthLimits(temperatureMargin: -1) }
        #expect(throws: ApusError.self) { try HealthLimits(slowness: 1) }
        #expect(throws: ApusError.self) { try HealthLimits(window: .zero) }
        #expect(throws: ApusError.self) { try HealthLimits(batches: 0) }
        #expect(throws: Never.self) { try HealthLimits(slowness: 3) }
    }
}
