import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Testing

/// Starts, proofs, deaths and the ways back.
@Suite struct WorkerRecoveryTests {
    private func reason(_ driver: RecoveryDriver) -> RecoveryReason.Code? { driver.recovery.lastReason?.code }

    @Test func aDeviceIsStartedAtOnceAndOnlyOnce() {
        var driver = RecoveryDriver()
        #expect(driver.recovery.nextWake == nil && driver.recovery.stage == .healthy && !driver.recovery.isServing)
        #expect(driver.send(.started) == [.startWorker(worker: 1)])
        #expect(driver.send(.started) == [])
        #expect(driver.recovery.stage == .restarting && driver.recovery.fallback == .none)
    }

    @Test func aWorkerIsAdmittedAfterThreeRightAnswersAndNotBefore() {
        var driver = RecoveryDriver()
        driver.send(.started)
        #expect(driver.send(.workerReady(worker: 1), after: 2) == [.prove(worker: 1, times: 3)])
        #expect(driver.send(.knownAnswer(worker: 1, .right)) == [])
        #expect(driver.send(.knownAnswer(worker: 1, .right)) == [])
        #expect(!driver.recovery.isServing)
        #expect(driver.send(.knownAnswer(worker: 1, .right)) == [.admit(worker: 1), .setWeight(1), .setBatchShare(1)])
        #expect(driver.recovery.isServing && driver.recovery.stage == .healthy && !driver.recovery.isOnTrial)
        #expect(driver.recovery.lastOutage == 2_000_000_000 && driver.recovery.awaySince == nil)
    }

    @Test func eventsOfOtherWorkersChangeNothing() {
        var driver = RecoveryDriver.serving()
        driver.die(.killed, after: 5)
        #expect(driver.recovery.currentWorker == 2)
        for late in [
            RecoveryEvent.workerReady(worker: 1), .spawnFailed(worker: 1, .engineMissing), .knownAnswer(worker: 1, .wrong),
            .workerDied(worker: 1, WorkerDeath(.crashed, running: 0)), .workerReady(worker: 3),
        ] {
            #expect(driver.send(late) == [])
        }
        #expect(driver.recovery.currentWorker == 2 && driver.recovery.stage == .restarting)
    }

    @Test func aWrongAnswerBeforeAdmissionCostsTheWorker() {
        var driver = RecoveryDriver()
        driver.send(.started)
        driver.send(.workerReady(worker: 1))
        driver.send(.knownAnswer(worker: 1, .right))
        #expect(driver.send(.knownAnswer(worker: 1, .wrong), after: 1) == [.killWorker(worker: 1), .startWorker(worker: 2)])
        #expect(reason(driver) == .wrongAnswer && driver.recovery.fallback == .temporary)
        driver.send(.workerReady(worker: 2))
        // Right answers of the worker before count for nothing.
        #expect(driver.send(.knownAnswer(worker: 2, .right)) == [])
        #expect(driver.send(.knownAnswer(worker: 2, .right)) == [])
        #expect(driver.send(.knownAnswer(worker: 2, .right)).first == .admit(worker: 2))
        #expect(driver.recovery.isOnTrial)
    }

    @Test func aWrongAnswerOfAServingDeviceTakesItOutAtOnce() {
        var driver = RecoveryDriver.serving()
        let actions = driver.send(.knownAnswer(worker: 1, .wrong), after: 100)
        guard case .withdraw(worker: 1, let why) = actions.first else { return #expect(Bool(false), "\(actions)") }
        #expect(why.code == .wrongAnswer)
        #expect(Array(actions.dropFirst()) == [.killWorker(worker: 1), .startWorker(worker: 2)])
    }

    @Test func aServingDeviceIsAskedForAKnownAnswerEveryFiveMinutes() {
        var driver = RecoveryDriver.serving()
        let admitted = driver.seconds
        #expect(driver.sleep() == [.prove(worker: 1, times: 1)])
        #expect(driver.seconds == admitted + 300)
        #expect(driver.send(.knownAnswer(worker: 1, .right)) == [])
        #expect(driver.sleep() == [.prove(worker: 1, times: 1)])
        #expect(driver.seconds == admitted + 600)
    }

    @Test func restartsWaitNothingThenOneSecondThenTwiceAsLongUpToThirty() throws {
        var restarts = RecoveryPolicy.Restarts()
        restarts.limit = 100
        var driver = RecoveryDriver(.cuda, try RecoveryPolicy(restarts: restarts))
        driver.send(.started)
        var waits: [Double] = []
        for worker in 1...8 {
            // The spacing of starts has passed, so that only the back-off tells.
            driver.send(.spawnFailed(worker: worker, .engineFailure), after: 5)
            let failed = driver.seconds
            if driver.recovery.currentWorker == nil { driver.sleep() }
            #expect(driver.recovery.currentWorker == worker + 1)
            waits.append(driver.seconds - failed)
        }
        #expect(waits == [0, 1, 2, 4, 8, 16, 30, 30])
    }

    @Test func aSystemWithoutRoomForWorkersCountsAgainstNobodyAndIsTriedEverMoreRarely() {
        var driver = RecoveryDriver()
        driver.send(.started)
        var waits: [Double] = []
        for worker in 1...8 {
            driver.send(.spawnFailed(worker: worker, .resourcesExhausted), after: 5)
            let failed = driver.seconds
            #expect(driver.recovery.stage == .restarting && driver.recovery.fallback == .temporary)
            if driver.recovery.currentWorker == nil { driver.sleep() }
            #expect(driver.recovery.currentWorker == worker + 1)
            waits.append(driver.seconds - failed)
        }
        #expect(waits == [0, 1, 2, 4, 8, 16, 30, 30])
        driver.serve()
        #expect(driver.recovery.isServing && !driver.recovery.isOnTrial)
        // The next time begins anew.
        driver.die(.killed, after: 100)
        driver.send(.spawnFailed(worker: 10, .resourcesExhausted), after: 5)
        #expect(driver.recovery.currentWorker == 11)
    }

    @Test func tenGoodRunsResetTheBackoff() {
        var driver = RecoveryDriver.serving()
        driver.die(.crashed, after: 100)
        driver.serve()
        driver.succeed(9)
        #expect(driver.recovery.isOnTrial)
        driver.succeed(1)
        #expect(!driver.recovery.isOnTrial)
        driver.die(.crashed, after: 100)
        // The first restart again: at once.
        #expect(driver.recovery.currentWorker == 3)
    }

    @Test func nineGoodRunsDoNotResetTheBackoff() {
        var driver = RecoveryDriver.serving()
        driver.die(.crashed, after: 100)
        driver.serve()
        driver.succeed(9)
        driver.die(.crashed, after: 100)
        let died = driver.seconds
        #expect(driver.recovery.currentWorker == nil)
        #expect(driver.sleep() == [.startWorker(worker: 3)])
        #expect(driver.seconds == died + 1)
    }

    @Test(arguments: [WorkerDeath.Cause.crashed, .sticky, .hung])
    func theFourthDeathWithinTenMinutesQuarantines(cause: WorkerDeath.Cause) {
        var driver = RecoveryDriver.serving()
        for _ in 0..<3 {
            driver.succeed(10)
            driver.die(cause, after: 60)
            driver.serve()
        }
        #expect(driver.recovery.isServing && driver.recovery.restartCount == 3)
        driver.succeed(10)
        driver.die(cause, after: 60)
        #expect(driver.recovery.stage == .quarantined && driver.recovery.fallback == .permanent)
        #expect(driver.recovery.currentWorker == nil && reason(driver) == .restarts)
        // No time brings it back.
        for _ in 0..<10 { driver.sleep() }
        driver.send(.wake, after: 100_000)
        #expect(driver.recovery.stage == .quarantined && driver.recovery.nextWake == nil)
    }

    @Test func deathsFarApartNeverQuarantine() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<12 {
            driver.succeed(10)
            driver.die(.crashed, after: 201)
            driver.serve()
        }
        #expect(driver.recovery.isServing && driver.recovery.restartCount == 12)
    }

    @Test func anOperatorBringsAQuarantinedDeviceBack() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<4 {
            driver.die(.crashed, after: 10)
            driver.serve()
        }
        #expect(driver.recovery.stage == .quarantined)
        #expect(driver.send(.operatorProbe, after: 5) == [.startWorker(worker: 5)])
        driver.serve()
        #expect(driver.recovery.isServing && driver.recovery.isOnTrial)
        // Nothing is forgotten before it ran well for a while.
        driver.die(.crashed, after: 10)
        #expect(driver.recovery.stage == .quarantined)
    }

    @Test func killsFromOutsideCountForNothing() {
        var driver = RecoveryDriver.serving()
        for kill in 1...100 {
            let actions = driver.die(.killed, running: 2, after: 10)
            #expect(actions.last == .startWorker(worker: kill + 1), "at once")
            #expect(driver.recovery.fallback == .temporary)
            driver.serve()
            #expect(driver.recovery.isServing && !driver.recovery.isOnTrial)
        }
        #expect(driver.recovery.stage == .healthy)
    }

    @Test func killsOneAfterTheOtherRespectTheSpacingOfStarts() {
        var driver = RecoveryDriver()
        driver.send(.started)
        var starts = [driver.seconds]
        for _ in 0..<20 {
            driver.die(.killed, after: 0.01)
            #expect(driver.recovery.currentWorker == nil)
            driver.sleep()
            starts.append(driver.seconds)
        }
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 == 1 })
    }

    @Test func aWorkerThatIsNeverReadyIsReplaced() {
        var driver = RecoveryDriver()
        driver.send(.started)
        #expect(driver.sleep() == [.killWorker(worker: 1), .startWorker(worker: 2)])
        #expect(driver.seconds == 600 && reason(driver) == .spawnFailed)
    }

    @Test func aWorkerThatNeverAnswersIsReplaced() {
        var driver = RecoveryDriver()
        driver.send(.started)
        driver.send(.workerReady(worker: 1), after: 3)
        driver.send(.knownAnswer(worker: 1, .right), after: 100)
        #expect(driver.sleep() == [.killWorker(worker: 1), .startWorker(worker: 2)])
        #expect(driver.seconds == 123 && reason(driver) == .noAnswer)
    }

    @Test func aCPUDeviceIsNeverGivenUp() {
        var driver = RecoveryDriver(.cpu)
        driver.send(.started)
        var waits: [Double] = []
        for _ in 0..<40 {
            driver.die(.crashed, after: 2)
            let died = driver.seconds
            if driver.recovery.currentWorker == nil { driver.sleep() }
            waits.append(driver.seconds - died)
            #expect(driver.recovery.stage == .restarting && driver.recovery.fallback == .temporary)
        }
        #expect(Array(waits.prefix(3)) == [0, 1, 2])
        // More than three within ten minutes: the longest back-off there is.
        #expect(waits.dropFirst(3).prefix(15).allSatisfy { $0 == 30 })
    }

    @Test func aLostDeviceStaysLost() {
        var driver = RecoveryDriver.serving()
        let actions = driver.send(.deviceLost, after: 1)
        #expect(actions.last == .killWorker(worker: 1) && actions.count == 2)
        #expect(driver.recovery.stage == .lost && driver.recovery.fallback == .permanent && driver.recovery.nextWake == nil)
        for event in [RecoveryEvent.operatorProbe, .advice(.reset), .advice(.none), .started, .wake, .retired, .verdict(HealthVerdict())] {
            #expect(driver.send(event, after: 1000) == [])
        }
        #expect(driver.recovery.stage == .lost)
    }

    @Test func aWorkerThatFindsNoDeviceLosesIt() {
        var driver = RecoveryDriver()
        driver.send(.started)
        driver.send(.spawnFailed(worker: 1, .deviceLost))
        #expect(driver.recovery.stage == .lost)
    }

    @Test func aCPUDeviceCannotBeLostAndGetsANewWorker() {
        var driver = RecoveryDriver.serving(.cpu)
        #expect(driver.send(.xid(79)) == [] && driver.recovery.isServing)
        let actions = driver.batch(.failed(.lost, .device), after: 5)
        #expect(actions.suffix(2) == [.killWorker(worker: 1), .startWorker(worker: 2)])
        #expect(driver.recovery.stage == .restarting && driver.recovery.lastReason?.code == .lost)
        // Another lane of the worker before.
        #expect(driver.batch(.failed(.lost, .device)) == [])
        driver.send(.spawnFailed(worker: 2, .deviceLost), after: 5)
        #expect(driver.recovery.stage == .restarting)
        driver.serve()
        #expect(driver.recovery.isServing)
    }

    @Test func aRetiredDeviceRestsUntilItIsStartedAgain() {
        var driver = RecoveryDriver.serving(.cpu)
        let actions = driver.send(.retired, after: 50)
        #expect(actions.last == .killWorker(worker: 1) && actions.count == 2)
        #expect(driver.recovery.nextWake == nil && driver.recovery.fallback == .none && driver.recovery.awaySince == nil)
        #expect(driver.send(.workerDied(worker: 1, WorkerDeath(.stopped, running: 0))) == [])
        #expect(driver.send(.started, after: 50) == [.startWorker(worker: 2)])
    }

    @Test func anOperatorNeedNotWaitForABackoff() {
        var driver = RecoveryDriver.serving()
        driver.die(.crashed, after: 10)
        driver.serve()
        driver.die(.crashed, after: 10)
        driver.serve()
        driver.die(.crashed, after: 10)
        #expect(driver.recovery.currentWorker == nil)
        #expect(driver.send(.operatorProbe, after: 0.5) == [.startWorker(worker: 4)])
        // A serving device is asked for a known answer.
        driver.serve()
        #expect(driver.send(.operatorProbe, after: 1) == [.prove(worker: 4, times: 1)])
    }
}
