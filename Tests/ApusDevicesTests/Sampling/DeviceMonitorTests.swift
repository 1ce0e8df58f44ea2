import ApusDevices
import ApusErrors
import ApusTensor
import Foundation
import Testing

/// Both sides of the monitor: a real process over the fake driver, killed and replaced for real.
@Suite(.timeLimit(.minutes(2))) struct DeviceMonitorTests {
    private func command(
        _ driver: FakeDriver, _ mode: String = "monitor", lineDeadline: Duration = .seconds(20), cudaPatience: Int = 20_000
    ) -> MonitorCommand {
        MonitorCommand(
            executable: TestProducts.directory + "/MonitorProgram", arguments: [mode],
            options: MonitorOptions(
                intervalMilliseconds: 10, nvmlLibrary: driver.nvmlPath, cudaLibrary: driver.cudaPath, cudaPatienceMilliseconds: cudaPatience),
            lineDeadline: lineDeadline, backoff: [.zero, .milliseconds(20)])
    }

    /// The first report that `condition` holds for, having let those before it pass.
    private func first(
        _ reports: AsyncStream<DeviceMonitor.Report>, where condition: (DeviceMonitor.Report) -> Bool
    ) async throws -> DeviceMonitor.Report {
        for await report in reports where condition(report) { return report }
        throw ApusError(.monitorFailure, "the reports ended")
    }

    private func snapshot(
        _ reports: AsyncStream<DeviceMonitor.Report>, where condition: (DeviceSnapshot) -> Bool
    ) async throws -> DeviceSnapshot {
        for await case .snapshot(let snapshot) in reports where condition(snapshot) { return snapshot }
        throw ApusError(.monitorFailure, "the reports ended")
    }

    @Test func devicesComeInCUDAsOrderWithTheSamplesOfTheirOwnGPUs() async throws {
        let driver = try FakeDriver("order 6 1 3", "gpu 6 temperature 66", "gpu 1 temperature 61", "gpu 3 temperature 63")
        let reports = try DeviceMonitor.reports(command(driver))
        let seen = try await snapshot(reports) { _ in true }
        #expect(seen.numbering == .driver)
        #expect(seen.devices.map(\.device.description) == ["cuda:0", "cuda:1", "cuda:2"])
        #expect(seen.devices.map(\.uuid) == [6, 1, 3].map(FakeDriver.uuid))
        #expect(seen.devices.map(\.nvmlIndex) == [6, 1, 3])
        #expect(seen.devices.map(\.sample?.temperatureCelsius) == [66, 61, 63])
        #expect(seen.devices[0].pciBusID == "0000:76:00.0")
        #expect(seen.driverVersion == "580.65.06" && seen.cudaVersion == "13.0")
        #expect(seen.notes.filter { $0.contains("invisible to CUDA") }.count == 5)
        #expect(seen.links.count == 3)
    }

    @Test func eightGPUsComeWithTheirTopology() async throws {
        let driver = try FakeDriver()
        let seen = try await snapshot(try DeviceMonitor.reports(command(driver))) { _ in true }
        #expect(seen.devices.count == 8 && seen.notes.isEmpty)
        #expect(seen.links.count == 28)
        let near = seen.links.filter { $0.connection.ancestor == .oneSwitch }
        #expect(near.map { [$0.first.index, $0.second.index] } == [[0, 1], [2, 3], [4, 5], [6, 7]])
    }

    @Test func aChangeShowsInALaterRound() async throws {
        let driver = try FakeDriver()
        let reports = try DeviceMonitor.reports(command(driver))
        _ = try await snapshot(reports) { _ in true }
        try driver.play("gpu 4 temperature 95", "gpu 4 xid 31")
        let hot = try await snapshot(reports) { $0.devices[4].sample?.xids.isEmpty == false }
        #expect(hot.devices[4].sample?.xids == [31])
        #expect(hot.devices[4].sample?.temperatureCelsius == 95)
        let next = try await snapshot(reports) { _ in true }
        #expect(next.devices[4].sample?.xids == [])
        try driver.play("gpu 4 answer 15")
        let lost = try await snapshot(reports) { $0.devices[4].sample?.answer == .lost }
        #expect(lost.devices[3].sample?.answer == .given)
    }

    @Test func theRoundThatTellsOfXid154HasTheAdviceThatItTellsOf() async throws {
        let driver = try FakeDriver()
        let reports = try DeviceMonitor.reports(command(driver))
        #expect(try await snapshot(reports) { _ in true }.devices[4].sample?.recovery == RecoveryAdvice.none)
        try driver.play("gpu 4 recovery 1", "gpu 4 xid 154")
        let told = try await snapshot(reports) { $0.devices[4].sample?.xids.isEmpty == false }
        #expect(told.devices[4].sample?.xids == [154] && told.devices[4].sample?.recovery == .reset)
    }

    @Test func withoutCUDATheBusOrdersAndItIsSaid() async throws {
        let driver = try FakeDriver("cuda code cuInit 802", "count 2")
        let seen = try await snapshot(try DeviceMonitor.reports(command(driver))) { _ in true }
        #expect(seen.numbering == .busOrder)
        #expect(seen.devices.map(\.nvmlIndex) == [0, 1])
        #expect(seen.notes.first?.contains("code 802") == true)
    }

    @Test func aCUDALibraryThatHangsOnlyCostsTheNumbering() async throws {
        let driver = try FakeDriver("cuda hang cuInit", "count 2")
        let seen = try await snapshot(try DeviceMonitor.reports(command(driver, cudaPatience: 50))) { _ in true }
        #expect(seen.numbering == .busOrder && seen.devices.count == 2)
        #expect(seen.notes.first?.contains("did not answer") == true)
    }

    @Test func aMonitorThatHangsIsReplacedAndItsDevicesKeepTheirNumbers() async throws {
        let driver = try FakeDriver("order 2 0 1", "count 3")
        let reports = try DeviceMonitor.reports(command(driver, lineDeadline: .milliseconds(300)))
        let before = try await snapshot(reports) { _ in true }
        try driver.play("gpu 1 hang nvmlDeviceGetMemoryInfo_v2")
        let silence = try await first(reports) { if case .unreadable = $0 { true } else { false } }
        guard case .unreadable(let reason) = silence else { return }
        #expect(reason.contains("did not answer"))
        // The GPU that hung is lost now, and CUDA numbers what is left of it anew.
        try driver.play("gpu 1 answer 15", "order 2 0", "gpu 1 code nvmlDeviceGetHandleByIndex_v2 15")
        try driver.forget("gpu 1 hang nvmlDeviceGetMemoryInfo_v2")
        let after = try await snapshot(reports) { $0.devices.contains { $0.sample?.answer == .lost } }
        #expect(after.devices.map(\.uuid) == before.devices.map(\.uuid))
        #expect(after.devices.map(\.device) == before.devices.map(\.device))
        #expect(after.devices.map(\.sample?.answer) == [.given, .given, .lost])
    }

    @Test func withoutADriverItIsSaidOnceAndNobodyTriesAgain() async throws {
        let driver = try FakeDriver("code nvmlInit_v2 9")
        var reports: [DeviceMonitor.Report] = []
        for await report in try DeviceMonitor.reports(command(driver)) { reports.append(report) }
        #expect(reports.count == 1)
        guard case .absent(let reason) = reports.first else {
            Issue.record("\(reports)")
            return
        }
        #expect(reason.contains("code 9, Driver Not Loaded"))
    }

    @Test func aDriverThatFailsIsTriedAgainUntilItStarts() async throws {
        let driver = try FakeDriver("code nvmlInit_v2 999")
        let reports = try DeviceMonitor.reports(command(driver))
        for _ in 0..<3 {
            let report = try await first(reports) { _ in true }
            guard case .unreadable(let reason) = report else {
                Issue.record("\(report)")
                return
            }
            #expect(reason.contains("code 999"))
        }
        try driver.play("code nvmlInit_v2 0")
        #expect(try await snapshot(reports) { _ in true }.devices.count == 8)
    }

    @Test(arguments: [("nonsense", "invalid"), ("endless", "without end"), ("none", "ended")])
    func aMonitorThatTalksNonsenseIsUnreadable(mode: String, reason: String) async throws {
        let reports = try DeviceMonitor.reports(command(try FakeDriver(), mode))
        for _ in 0..<2 {
            let report = try await first(reports) { _ in true }
            guard case .unreadable(let text) = report else {
                Issue.record("\(report)")
                return
            }
            #expect(mode == "nonsense" || text.contains(reason))
        }
    }

    @Test func aProgramThatIsNotThereIsUnreadable() async throws {
        let reports = try DeviceMonitor.reports(MonitorCommand(executable: "/nowhere/apus", backoff: [.milliseconds(1)]))
        guard case .unreadable(let reason) = try await first(reports, where: { _ in true }) else { return }
        #expect(reason.contains("/nowhere/apus"))
    }

    @Test func discoveryFindsTheDevicesOrSaysThatThereAreNone() async throws {
        let driver = try FakeDriver("count 1", "order 0")
        let found = try await DeviceDiscovery.discover(command(driver), within: .seconds(60))
        guard case .found(let snapshot) = found else {
            Issue.record("\(found)")
            return
        }
        #expect(snapshot.devices.map(\.uuid) == [FakeDriver.uuid(0)])
        try driver.play("code nvmlInit_v2 28")
        guard case .none(let reason) = try await DeviceDiscovery.discover(command(driver), within: .seconds(60)) else {
            Issue.record("a device without a GPU")
            return
        }
        #expect(reason.contains("28"))
    }

    @Test func discoveryGivesUpOnADriverThatHangs() async throws {
        let driver = try FakeDriver("hang nvmlInit_v2")
        let error = await #expect(throws: ApusError.self) {
            try await DeviceDiscovery.discover(command(driver), within: .milliseconds(200))
        }
        #expect(error?.code == .monitorFailure)
        #expect(error?.message.contains("did not answer") == true)
    }

    /// No parent is left to wait for it, only its standard input tells.
    @Test func theMonitorEndsWithItsStandardInputEvenWhileItHangs() throws {
        let driver = try FakeDriver("hang nvmlDeviceGetName")
        let input = Pipe()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: TestProducts.directory + "/MonitorProgram")
        process.arguments = ["monitor"] + command(driver).options.arguments
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }
}
