import ApusDevices
import ApusErrors
import ApusTensor
import Testing

/// The layouts in CNVML against a library that was written from NVML's offsets alone.
@Suite struct NVMLSessionTests {
    private let mebibyte = 1 << 20

    @Test func eightGPUsTellWhoTheyAre() throws {
        let driver = try FakeDriver("gpu 6 name Fake A100", "gpu 6 capability 8 6", "gpu 6 links 4", "driver 999.1", "cuda 12040")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        #expect(session.count == 8)
        #expect(session.driverVersion == "999.1")
        #expect(session.cudaVersion == "12.4")
        for gpu in 0..<8 {
            let answer = session.facts(gpu)
            let facts = try #require(answer)
            #expect(facts.uuid == FakeDriver.uuid(gpu))
            #expect(facts.bus == PCIBusID(domain: 0, bus: 0x10 + 0x11 * gpu, device: 0))
            #expect(facts.name == (gpu == 6 ? "Fake A100" : "Fake H200"))
            #expect(facts.computeCapability == (gpu == 6 ? .init(8, 6) : .init(9, 0)))
            #expect(facts.activeLinks == (gpu == 6 ? 4 : 18))
        }
        let strangers = [session.facts(8), session.facts(-1)]
        #expect(strangers == [nil, nil])
    }

    @Test func aSampleHoldsEveryFigureOfItsGPU() throws {
        let driver = try FakeDriver(
            "gpu 3 total 80000", "gpu 3 used 10000", "gpu 3 reserved 500", "gpu 3 utilization 97", "gpu 3 temperature 71",
            "gpu 3 slowdown 90", "gpu 3 shutdown 95", "gpu 3 power 512345", "gpu 3 limit 600000", "gpu 3 clocks 0x48",
            "gpu 3 corrected 5000000000", "gpu 3 uncorrected 2", "gpu 3 remapped 7 8 1 0", "gpu 3 retired 1", "gpu 3 replays 12",
            "gpu 3 recovery 4")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        var expected = DeviceSample(device: DeviceID(.cuda, 5))
        expected.memory = .init(totalBytes: 80_000 * mebibyte, usedBytes: 10_500 * mebibyte, freeBytes: 69_500 * mebibyte)
        expected.utilizationPercent = 97
        expected.temperatureCelsius = 71
        expected.slowdownCelsius = 90
        expected.shutdownCelsius = 95
        expected.powerMilliwatts = 512_345
        expected.powerLimitMilliwatts = 600_000
        expected.clockEvents = [.hardwareSlowdown, .hardwareThermal]
        expected.eccCorrected = 5_000_000_000
        expected.eccUncorrected = 2
        expected.remappedRows = .init(corrected: 7, uncorrected: 8, isPending: true, hasFailed: false)
        expected.hasRetiredPagesPending = true
        expected.pcieReplays = 12
        expected.recovery = .drainAndReset
        let sample = session.sample(3, as: DeviceID(.cuda, 5))
        #expect(sample == expected)
        for gpu in [0, 1, 2, 4, 5, 6, 7] {
            let sample = session.sample(gpu, as: DeviceID(.cuda, gpu))
            #expect(sample.temperatureCelsius == 30 + gpu)
            #expect(sample.utilizationPercent == 10 + gpu)
            #expect(sample.memory?.usedBytes == (1_600 + 101 * gpu) * mebibyte)
            #expect(sample.recovery == RecoveryAdvice.none)
            #expect(sample.remappedRows == .init(corrected: 0, uncorrected: 0, isPending: false, hasFailed: false))
        }
    }

    @Test func anOldDriverGivesTheSameThroughItsOldFunctions() throws {
        let settings = ["gpu 1 temperature 66", "gpu 1 clocks 0x20", "gpu 1 used 7000"]
        let driver = try FakeDriver(settings[0], settings[1], settings[2], age: .old)
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        let sample = session.sample(1, as: DeviceID(.cuda, 1))
        #expect(sample.answer == .given)
        #expect(sample.temperatureCelsius == 66)
        #expect(sample.clockEvents == .softwareThermal)
        #expect(sample.memory == .init(totalBytes: 143_771 * mebibyte, usedBytes: 7_601 * mebibyte, freeBytes: 136_170 * mebibyte))
        #expect(sample.remappedRows == nil)
        #expect(sample.recovery == nil)
        #expect(sample.powerMilliwatts == 76_000)
    }

    @Test func whatAGPUDoesNotOfferIsNilAndNoFailure() throws {
        let calls = [
            "TotalEccErrors", "RemappedRows", "RetiredPagesPendingStatus", "UtilizationRates", "EnforcedPowerLimit", "FieldValues",
            "PcieReplayCounter", "TemperatureThreshold", "CurrentClocksEventReasons", "CurrentClocksThrottleReasons",
        ]
        let driver = try FakeDriver()
        for call in calls { try driver.play("gpu 0 code nvmlDeviceGet\(call) 3") }
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        var expected = DeviceSample(device: DeviceID(.cuda, 0))
        expected.memory = .init(totalBytes: 143_771 * mebibyte, usedBytes: 1_600 * mebibyte, freeBytes: 142_171 * mebibyte)
        expected.temperatureCelsius = 30
        expected.powerMilliwatts = 75_000
        let sample = session.sample(0, as: DeviceID(.cuda, 0))
        #expect(sample == expected)
    }

    @Test(arguments: [
        (15, DeviceSample.Answer.lost), (16, .needsReset), (999, .failed(code: 999)), (17, .failed(code: 17)), (3, .given),
    ])
    func aGPUThatAnswersEveryCallWithACodeIsWhatTheCodeSays(code: Int, answer: DeviceSample.Answer) throws {
        let driver = try FakeDriver()
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        try driver.play("gpu 2 answer \(code)")
        let sample = session.sample(2, as: DeviceID(.cuda, 2))
        #expect(sample.answer == answer)
        #expect(sample.memory == nil && sample.temperatureCelsius == nil && sample.eccCorrected == nil)
        let other = session.sample(1, as: DeviceID(.cuda, 1))
        #expect(other.answer == .given)
    }

    @Test func aGPUThatIsLostHalfWayThroughARoundIsLost() throws {
        let driver = try FakeDriver("gpu 2 code nvmlDeviceGetPowerUsage 15")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        let sample = session.sample(2, as: DeviceID(.cuda, 2))
        #expect(sample.answer == .lost)
        #expect(sample.temperatureCelsius == 32)
        #expect(sample.pcieReplays == nil)
    }

    @Test func oneOddFigureDoesNotFailAGPUThatAnswers() throws {
        let driver = try FakeDriver("gpu 2 code nvmlDeviceGetPcieReplayCounter 999")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        let sample = session.sample(2, as: DeviceID(.cuda, 2))
        #expect(sample.answer == .given && sample.pcieReplays == nil)
    }

    @Test func aGPUWithoutAHandleIsCountedAndSaysWhy() throws {
        let driver = try FakeDriver("gpu 4 code nvmlDeviceGetHandleByIndex_v2 15")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        #expect(session.count == 8)
        let (facts, neighbour) = (session.facts(4), session.facts(5))
        let sample = session.sample(4, as: DeviceID(.cuda, 4))
        #expect(facts == nil)
        #expect(sample.answer == .lost)
        #expect(neighbour?.uuid == FakeDriver.uuid(5))
    }

    @Test func xidErrorsComeOnceWithTheGPUTheyBelongTo() throws {
        let driver = try FakeDriver("gpu 0 xid 13")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        let before = session.takeXids()
        try driver.play("gpu 5 xid 79", "gpu 1 xid 999", "gpu 5 xid 154")
        let (taken, after) = (session.takeXids(), session.takeXids())
        #expect(before == [])
        #expect(taken == [.init(place: 5, code: 79), .init(place: 1, code: 999), .init(place: 5, code: 154)])
        #expect(after == [])
    }

    @Test func aGPUWithoutXidEventsIsSampledWithoutThem() throws {
        let driver = try FakeDriver("gpu 5 events 3")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        try driver.play("gpu 5 xid 79", "gpu 6 xid 31")
        let taken = session.takeXids()
        let sample = session.sample(5, as: DeviceID(.cuda, 5))
        #expect(taken == [.init(place: 6, code: 31)])
        #expect(sample.answer == .given)
    }

    @Test(arguments: [
        (0, RecoveryAdvice.none), (1, .reset), (2, .reboot), (3, .drainP2P), (4, .drainAndReset), (5, .imex), (6, .reset), (7, .reboot), (99, .reset),
    ])
    func theRecoveryActionIsReadFromItsField(value: Int, advice: RecoveryAdvice) throws {
        let driver = try FakeDriver("gpu 7 recovery \(value)")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        let sample = session.sample(7, as: DeviceID(.cuda, 7))
        #expect(sample.recovery == advice)
    }

    @Test func connectionsTellNeighboursFromStrangers() throws {
        let driver = try FakeDriver("gpu 7 links 0")
        let session = try NVMLSession.open(libraryPath: driver.nvmlPath)
        let neighbours = session.connection(0, 1)
        let ancestors = [session.connection(0, 3)?.ancestor, session.connection(0, 4)?.ancestor]
        let (unlinked, stranger) = (session.connection(3, 7), session.connection(0, 8))
        #expect(neighbours == .init(ancestor: .oneSwitch, canReadPeer: true, hasNVLink: true))
        #expect(ancestors == [.hostBridge, .system])
        #expect(unlinked?.hasNVLink == false)
        #expect(stranger == nil)
    }

    @Test(arguments: [(9, ApusError.Code.nvmlMissing), (18, .nvmlMissing), (28, .nvmlMissing), (999, .nvmlFailure), (10, .nvmlFailure)])
    func aDriverThatDoesNotStartSaysWhetherItIsWorthAskingAgain(code: Int, expected: ApusError.Code) throws {
        let driver = try FakeDriver("code nvmlInit_v2 \(code)")
        let error = #expect(throws: ApusError.self) { _ = try NVMLSession.open(libraryPath: driver.nvmlPath) }
        #expect(error?.code == expected)
        #expect(error?.message.contains("code \(code)") == true)
    }

    @Test func withoutALibraryTheErrorNamesIt() throws {
        let driver = try FakeDriver()
        let missing = #expect(throws: ApusError.self) { _ = try NVMLSession.open(libraryPath: "libnvidia-ml-none.so.1") }
        #expect(missing?.code == .nvmlMissing)
        #expect(missing?.place == "libnvidia-ml-none.so.1")
        let other = #expect(throws: ApusError.self) { _ = try NVMLSession.open(libraryPath: driver.cudaPath) }
        #expect(other?.code == .nvmlMissing)
        #expect(other?.message.contains("nvmlInit_v2") == true)
    }
}
