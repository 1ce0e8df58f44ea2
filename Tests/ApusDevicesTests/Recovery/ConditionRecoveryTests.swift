import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Testing

/// Verdicts, Xids and the driver's advice.
@Suite struct ConditionRecoveryTests {
    private func verdict(_ subject: HealthVerdict.Subject, _ outcome: HealthVerdict.Outcome) -> RecoveryEvent {
        .verdict(HealthVerdict([.init(subject, outcome, "as scripted")]))
    }

    @Test(arguments: [HealthVerdict.Subject.clocks, .pcie, .temperature, .performance])
    func aThrottledDeviceGetsHalfItsWorkUntilItWasCleanForTenMinutes(subject: HealthVerdict.Subject) {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(verdict(subject, .throttle)) == [.setWeight(0.5)])
        #expect(driver.recovery.stage == .suspect && driver.recovery.isServing)
        #expect(driver.send(verdict(subject, .throttle), after: 100) == [])
        let last = driver.seconds
        #expect(driver.send(.verdict(HealthVerdict()), after: 100) == [])
        while driver.recovery.stage == .suspect { driver.sleep() }
        #expect(driver.seconds == last + 600 && driver.recovery.weight == 1)
    }

    @Test func aDoubtfulDeviceIsAskedForAKnownAnswerAtMostOnceAMinute() {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(verdict(.ecc, .investigate), after: 61) == [.setWeight(0.5), .prove(worker: 1, times: 1)])
        #expect(driver.send(verdict(.ecc, .investigate), after: 30) == [])
        #expect(driver.send(verdict(.ecc, .investigate), after: 31) == [.prove(worker: 1, times: 1)])
    }

    @Test func aDeviceShortOfMemoryGetsSmallerBatchesForAsLongAsItIs() {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(verdict(.memory, .throttle)) == [.setBatchShare(0.5)])
        for _ in 0..<9 { #expect(driver.send(verdict(.memory, .throttle), after: 30) == []) }
        let last = driver.seconds
        while driver.recovery.batchShare < 0.75 { driver.sleep() }
        #expect(driver.seconds == last + 60)
        #expect(driver.recovery.weight == 1)
    }

    @Test func anOverheatedDeviceRestsUntilItIsCool() {
        var driver = RecoveryDriver.serving()
        let actions = driver.send(verdict(.temperature, .fallBack), after: 10)
        #expect(actions.last == .killWorker(worker: 1) && driver.recovery.fallback == .temporary)
        #expect(driver.recovery.lastReason?.code == .overheated)
        for _ in 0..<20 { #expect(driver.send(verdict(.temperature, .fallBack), after: 4) == []) }
        let last = driver.seconds
        #expect(driver.sleep() == [.startWorker(worker: 2)])
        #expect(driver.seconds == last + 5)
        driver.serve()
        #expect(driver.recovery.isOnTrial)
    }

    @Test func brokenMemoryRowsQuarantine() {
        var driver = RecoveryDriver.serving()
        driver.send(verdict(.remappedRows, .fallBack))
        #expect(driver.recovery.stage == .quarantined && driver.recovery.lastReason?.code == .memoryFault)
    }

    @Test func verdictsAboutKnownAnswersAreLeftToTheAnswersThemselves() {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(verdict(.knownAnswer, .fallBack)) == [] && driver.recovery.isServing)
    }

    @Test(arguments: [46, 48, 62, 64, 95, 110, 119, 120, 136, 140, 143, 155, 156, 158])
    func xidsThatNeedAResetQuarantine(xid: Int) {
        var driver = RecoveryDriver.serving()
        driver.send(.xid(xid), after: 20)
        #expect(driver.recovery.stage == .quarantined && driver.recovery.lastReason?.code == .needsReset)
        #expect(driver.recovery.currentWorker == nil)
    }

    @Test(arguments: [8, 11, 25, 32, 39, 40, 41, 68, 69, 94])
    func xidsThatAskForItReplaceTheWorker(xid: Int) {
        var driver = RecoveryDriver.serving()
        let actions = driver.send(.xid(xid), after: 20)
        #expect(actions.suffix(2) == [.killWorker(worker: 1), .startWorker(worker: 2)])
        #expect(driver.recovery.lastReason?.code == .xid)
        // The same error told again while the new worker starts is that of the worker before.
        #expect(driver.send(.xid(xid), after: 3) == [])
    }

    @Test(arguments: [13, 31])
    func xidsThatHostileInputsCauseLeaveTheDeviceAlone(xid: Int) {
        var driver = RecoveryDriver.serving()
        for _ in 0..<14 { #expect(driver.send(.xid(xid), after: 20) == []) }
        #expect(driver.recovery.isServing && driver.recovery.stage == .healthy)
    }

    @Test(arguments: [43, 44, 45, 63, 92, 121, 137, 157, 9999, -1])
    func otherXidsAreOnlyNoted(xid: Int) {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(.xid(xid), after: 20) == [] && driver.recovery.isServing)
    }

    @Test func everyXidThatIsHandledIsNoted() {
        for xid in [8, 13, 43, 46, 74, 79, 109, 9999] {
            var driver = RecoveryDriver.serving()
            let actions = driver.recovery.handle(.xid(xid), now: driver.now + 20_000_000_000)
            #expect(actions.contains { if case .note(_, let text) = $0 { text.contains("Xid \(xid)") } else { false } })
        }
    }

    @Test func xid109RestartsOnceAndThenQuarantines() {
        var driver = RecoveryDriver.serving()
        driver.send(.xid(109), after: 20)
        #expect(driver.recovery.currentWorker == 2)
        driver.serve()
        driver.send(.xid(109), after: 20)
        #expect(driver.recovery.stage == .quarantined)
    }

    @Test func xid79LosesTheDevice() {
        var driver = RecoveryDriver.serving()
        driver.send(.xid(79), after: 20)
        #expect(driver.recovery.stage == .lost)
    }

    @Test func xid154ByItselfChangesNothingAndTheAdviceThatComesWithItDoes() {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(.xid(154), after: 20) == [])
        #expect(driver.recovery.isServing)
        var sample = DeviceSample(device: driver.recovery.device)
        sample.xids = [154]
        sample.recovery = .reset
        for event in RecoveryEvent.events(of: sample) { driver.send(event) }
        #expect(driver.recovery.stage == .quarantined)
    }

    @Test(arguments: [74, 144, 147, 150])
    func xidsOfLinksKeepTheDeviceAndForbidGroups(xid: Int) {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(.xid(xid), after: 20) == [])
        #expect(driver.recovery.isServing && driver.recovery.hasFailedLink)
        driver.send(.operatorProbe)
        #expect(!driver.recovery.hasFailedLink)
    }

    @Test(arguments: RecoveryAdvice.allCases.filter { $0 != .none })
    func adviceQuarantinesUntilTheDriverTakesItBack(advice: RecoveryAdvice) {
        var driver = RecoveryDriver.serving()
        #expect(driver.send(.advice(.none)) == [])
        driver.send(.advice(advice), after: 20)
        #expect(driver.recovery.stage == .quarantined)
        #expect(driver.send(.advice(advice), after: 20) == [])
        #expect(driver.send(.advice(.none), after: 20) == [.startWorker(worker: 2)])
        #expect(driver.send(.advice(.none), after: 1) == [])
        driver.serve()
        #expect(driver.recovery.isServing && driver.recovery.isOnTrial)
    }

    @Test func adviceThatWasNeverGivenEndsNoQuarantine() {
        var driver = RecoveryDriver.serving()
        driver.send(.xid(48), after: 20)
        #expect(driver.send(.advice(.none), after: 20) == [])
        #expect(driver.recovery.stage == .quarantined)
    }

    @Test func aHardReasonForQuarantineIsNotExcused() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<4 {
            driver.die(.crashed, running: 1, after: 10)
            driver.batch(.failed(.crashed, .device))
            driver.serve()
        }
        driver.send(.advice(.reset), after: 2)
        driver.batch(.failed(.crashed, .input), after: 2)
        #expect(driver.recovery.stage == .quarantined)
    }

    @Test func aSampleTellsItsEventsInOrder() {
        var sample = DeviceSample(device: DeviceID(.cuda, 0))
        #expect(RecoveryEvent.events(of: sample) == [])
        sample.xids = [31, 154]
        sample.recovery = .reset
        #expect(RecoveryEvent.events(of: sample) == [.xid(31), .xid(154), .advice(.reset)])
        sample.answer = .lost
        #expect(RecoveryEvent.events(of: sample).last == .deviceLost)
        sample.answer = .needsReset
        sample.recovery = RecoveryAdvice.none
        #expect(RecoveryEvent.events(of: sample).last == .advice(.reset))
    }
}
