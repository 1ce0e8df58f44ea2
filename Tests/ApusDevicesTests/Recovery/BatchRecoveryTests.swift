import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Testing

/// The ladder, blame, and batches that do not fit.
@Suite struct BatchRecoveryTests {
    private let failure = BatchReport.Result.failed(.engine, .device)

    @Test func threeFailuresInARowAreRetried() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<3 { #expect(driver.batch(failure) == []) }
        #expect(driver.recovery.isServing && driver.recovery.fallback == .none)
    }

    @Test func theFourthFailureInARowIsATemporaryFallback() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<3 { driver.batch(failure) }
        let actions = driver.batch(failure, after: 10)
        #expect(actions.last == .killWorker(worker: 1) && actions.count == 2)
        #expect(driver.recovery.fallback == .temporary && driver.recovery.lastReason?.code == .failingBatches)
        let left = driver.seconds
        #expect(driver.sleep() == [.startWorker(worker: 2)])
        #expect(driver.seconds == left + 5)
    }

    @Test func aSuccessBetweenThemStartsTheLadderAnew() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<20 {
            for _ in 0..<3 { driver.batch(failure) }
            driver.succeed(1)
        }
        #expect(driver.recovery.isServing)
    }

    @Test func oneFailureOnTrialSendsTheDeviceBackForTwiceAsLongAndTheSeventhForGood() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<4 { driver.batch(failure, after: 2) }
        var waits: [Double] = []
        for failed in 5...7 {
            let left = driver.seconds
            driver.serve(startup: 0)
            waits.append(driver.seconds - left)
            #expect(driver.recovery.isOnTrial)
            // A good run does not end a trial.
            driver.succeed(2)
            driver.batch(failure, after: 2)
            #expect(driver.recovery.fallback == (failed < 7 ? .temporary : .permanent))
        }
        #expect(waits == [5, 10, 20])
        #expect(driver.recovery.stage == .quarantined && driver.recovery.lastReason?.code == .failingBatches)
        #expect(driver.send(.operatorProbe, after: 60) == [.startWorker(worker: 5)])
    }

    @Test func tenGoodRunsEndATrialAndForgetItsBackoff() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<4 { driver.batch(failure, after: 2) }
        driver.serve()
        driver.succeed(10)
        for _ in 0..<3 { #expect(driver.batch(failure) == []) }
        driver.batch(failure, after: 2)
        let left = driver.seconds
        driver.sleep()
        #expect(driver.seconds == left + 5)
    }

    @Test func theLimitsOfTheLadderAreSettings() throws {
        var ladder = RecoveryPolicy.Ladder()
        ladder.retryLimit = 0
        ladder.temporaryLimit = 1
        var driver = RecoveryDriver.serving(.cuda, try RecoveryPolicy(ladder: ladder))
        driver.batch(failure, after: 2)
        #expect(driver.recovery.fallback == .temporary)
        driver.serve()
        driver.batch(failure, after: 2)
        #expect(driver.recovery.fallback == .permanent)
    }

    @Test func aCPUDeviceClimbsTheLadderWithoutAnEnd() {
        var driver = RecoveryDriver.serving(.cpu)
        for _ in 0..<60 {
            while driver.recovery.isServing { driver.batch(failure) }
            #expect(driver.recovery.fallback == .temporary)
            driver.serve()
            #expect(driver.recovery.isServing)
        }
    }

    @Test func whatAnInputOrNobodyIsToBlameForIsNoStepOfTheLadder() {
        var driver = RecoveryDriver.serving()
        for blame in [BatchReport.Blame.input, .nobody] {
            for _ in 0..<20 { driver.batch(.failed(.engine, blame)) }
        }
        for result in [BatchReport.Result.failed(.unavailable, .device), .failed(.killed, .device)] {
            for _ in 0..<20 { driver.batch(result) }
        }
        #expect(driver.recovery.isServing)
    }

    @Test func reportsOfOtherDevicesChangeNothing() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<20 {
            driver.send(.batch(BatchReport(device: DeviceID(.cuda, 7), result: failure, sequences: 1, tokens: 1, seconds: 1)), after: 1)
        }
        #expect(driver.recovery.isServing)
    }

    @Test func aBatchThatFindsNoDeviceLosesIt() {
        var driver = RecoveryDriver.serving()
        driver.batch(.failed(.lost, .device))
        #expect(driver.recovery.stage == .lost)
    }

    @Test func batchesShrinkByHalvesAndGrowByQuarters() {
        var driver = RecoveryDriver.serving()
        #expect(driver.batch(.failed(.outOfMemory, .nobody)) == [.setBatchShare(0.5)])
        #expect(driver.batch(.failed(.outOfMemory, .nobody)) == [.setBatchShare(0.25)])
        #expect(driver.recovery.stage == .shrunk && driver.recovery.batchShare == 0.25)
        let failed = driver.seconds
        #expect(driver.sleep() == [.setBatchShare(0.5)])
        #expect(driver.seconds == failed + 60)
        #expect(driver.sleep() == [.setBatchShare(0.75)])
        #expect(driver.sleep() == [.setBatchShare(1)])
        #expect(driver.seconds == failed + 180 && driver.recovery.stage == .healthy)
    }

    @Test func batchesThatRanWhenTheShareWasCutDoNotCutItAgain() {
        var driver = RecoveryDriver.serving()
        #expect(driver.batch(.failed(.outOfMemory, .nobody), after: 100, took: 1) == [.setBatchShare(0.5)])
        // Began before the first one failed.
        #expect(driver.batch(.failed(.outOfMemory, .device), after: -1.99, took: 2) == [])
        #expect(driver.batch(.failed(.outOfMemory, .nobody), took: 0.5) == [.setBatchShare(0.25)])
    }

    @Test func batchesShrinkNoFurtherThanTheSmallestShare() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<50 { driver.batch(.failed(.outOfMemory, .nobody)) }
        #expect(driver.recovery.batchShare == 1.0 / 64)
    }

    @Test func anInputThatDoesNotFitAloneDoesNotShrinkOthers() {
        var driver = RecoveryDriver.serving()
        driver.batch(.failed(.outOfMemory, .input))
        #expect(driver.recovery.batchShare == 1)
    }

    @Test func repeatedLackOfMemoryClimbsTheLadder() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<4 { driver.batch(.failed(.outOfMemory, .device)) }
        #expect(driver.recovery.fallback == .temporary)
        // Its next worker is told the share that it had.
        #expect(driver.serve().last == .setBatchShare(1.0 / 16))
    }

    @Test func aDeathThatAnInputIsToBlameForCountsForNothing() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<30 {
            driver.die(.crashed, running: 1, after: 5)
            driver.batch(.failed(.crashed, .input))
            driver.serve()
            #expect(driver.recovery.isServing && !driver.recovery.isOnTrial)
            driver.succeed(1)
        }
        #expect(driver.recovery.stage == .healthy)
    }

    @Test func theReportOfADeathMayComeBeforeItsNews() {
        var driver = RecoveryDriver.serving()
        let actions = driver.batch(.failed(.crashed, .input), after: 5)
        #expect(actions.last == .startWorker(worker: 2))
        #expect(driver.send(.workerDied(worker: 1, WorkerDeath(.crashed, running: 2))) == [])
        #expect(driver.recovery.currentWorker == 2 && !driver.recovery.isOnTrial)
    }

    @Test func theReportOfAnOlderWorkersBatchIsNoNewDeath() {
        var driver = RecoveryDriver.serving()
        driver.die(.crashed, running: 2, after: 5)
        driver.serve()
        // Began on the worker before.
        #expect(driver.batch(.failed(.crashed, .nobody), after: -1.9, took: 2) == [])
        #expect(driver.recovery.isServing)
    }

    @Test func aDeathNobodyIsBlamedForIsTheDevicesAfterAWhile() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<3 {
            driver.die(.crashed, running: 1, after: 100)
            driver.serve()
            driver.send(.wake, after: 31)
            #expect(driver.recovery.isOnTrial)
            driver.succeed(10)
        }
        driver.die(.crashed, running: 1, after: 100)
        driver.serve()
        #expect(driver.recovery.isServing)
        driver.send(.wake, after: 31)
        #expect(driver.recovery.stage == .quarantined)
    }

    @Test func blamingTheDeviceCountsItsDeathOnce() {
        var driver = RecoveryDriver.serving()
        driver.die(.sticky, running: 3, after: 100)
        for _ in 0..<3 { driver.batch(.failed(.sticky, .device), took: 0.001) }
        driver.serve()
        driver.send(.wake, after: 40)
        #expect(driver.recovery.isServing && driver.recovery.isOnTrial)
        driver.succeed(9)
        driver.die(.crashed, after: 10)
        let died = driver.seconds
        driver.sleep()
        #expect(driver.seconds == died + 1, "the second restart")
    }

    @Test func anExcuseEndsAQuarantineForTooManyRestarts() {
        var driver = RecoveryDriver.serving()
        for _ in 0..<4 {
            driver.die(.crashed, running: 1, after: 10)
            driver.batch(.failed(.crashed, .device))
            driver.serve()
        }
        #expect(driver.recovery.stage == .quarantined)
        #expect(driver.batch(.failed(.crashed, .input), after: 2) == [.startWorker(worker: 5)])
    }

    @Test func aLateExcuseTakesBackOnlyWhatStillCounts() {
        var driver = RecoveryDriver.serving()
        driver.die(.crashed, running: 1, after: 5)
        driver.batch(.failed(.crashed, .device))
        driver.serve()
        // Ten good runs forget the failure that the death was.
        driver.succeed(10)
        for _ in 0..<3 { driver.batch(failure) }
        let late = BatchReport(
            device: driver.recovery.device, result: .failed(.crashed, .input), sequences: 1, tokens: 1, seconds: 0)
        driver.send(.batch(late))
        #expect(driver.recovery.isServing)
        driver.batch(failure)
        #expect(driver.recovery.fallback == .temporary)
    }

    @Test func inputsAreNotBlamedForEverByADeviceThatNeverRunsWell() {
        var driver = RecoveryDriver.serving()
        var deaths = 0
        while driver.recovery.stage != .quarantined, deaths < 100 {
            driver.die(.crashed, running: 1, after: 5)
            driver.batch(.failed(.crashed, .input))
            deaths += 1
            driver.serve()
            driver.send(.wake, after: 31)
        }
        // Three excuses, then three restarts.
        #expect(deaths == 7)
    }
}
