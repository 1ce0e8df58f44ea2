import ApusDevices
import ApusErrors
import ApusSimulation
import ApusTensor
import Testing

@Suite struct SimulatedDevicesTests {
    private static let second = 1_000_000_000

    @Test func eachDeviceHasItsNameAndNumber() throws {
        let devices = try SimulatedDevices(count: 8)
        #expect(devices.infos.map(\.device.description) == (0..<8).map { "sim:\($0)" })
        #expect(devices.infos.allSatisfy { $0.name == "Simulated accelerator" })
        #expect(Set(devices.infos.map(\.uuid)).count == 8)
    }

    @Test(arguments: [0, -1, 1025, .max])
    func impossibleNumbersAreRefused(count: Int) {
        #expect(throws: ApusError.self) { try SimulatedDevices(count: count) }
    }

    @Test func figuresMoveWithTheLoad() throws {
        var devices = try SimulatedDevices(count: 2)
        let device = DeviceID(.sim, 1)
        let first = devices.sample(device, load: 0, allocatedBytes: 0, now: 0)
        let idle = try #require(first)
        #expect(idle.temperatureCelsius == 35 && idle.utilizationPercent == 0)
        #expect(idle.powerMilliwatts == 40_000 && idle.clockEvents == .idle)
        var celsius: [Int] = []
        for minute in 1...20 {
            let next = devices.sample(device, load: 1, allocatedBytes: 1 << 30, now: minute * 10 * Self.second)
            let busy = try #require(next)
            celsius.append(busy.temperatureCelsius ?? 0)
            #expect(busy.utilizationPercent == 100 && busy.powerMilliwatts == 300_000)
            #expect(busy.memory.map { $0.usedBytes + $0.freeBytes == $0.totalBytes } == true)
            #expect((busy.memory?.usedBytes ?? 0) - (idle.memory?.usedBytes ?? 0) == 1 << 30)
        }
        #expect(celsius == celsius.sorted() && celsius.first == 50 && celsius.last == 80)
        let cooled = devices.sample(device, load: 0, allocatedBytes: 0, now: 10_000 * Self.second)
        #expect(cooled?.temperatureCelsius == 35)
        // The other device was left alone.
        #expect(devices.sample(DeviceID(.sim, 0), load: 0, allocatedBytes: 0, now: 0)?.temperatureCelsius == 35)
    }

    @Test func simulatedDevicesAreHealthy() throws {
        var devices = try SimulatedDevices(count: 1)
        var judge = HealthJudge()
        for round in 0..<200 {
            let given = devices.sample(DeviceID(.sim, 0), load: 1, allocatedBytes: 1 << 33, now: round * 5 * Self.second)
            let sample = try #require(given)
            #expect(judge.verdict(sample, now: round * 5 * Self.second).outcome == .healthy)
        }
    }

    @Test func impossibleLoadsAndDevicesAreNoTrap() throws {
        var devices = try SimulatedDevices(count: 1)
        for load in [-1, 2, Double.nan, .infinity] {
            let sample = devices.sample(DeviceID(.sim, 0), load: load, allocatedBytes: .max, now: 0)
            #expect((0...100).contains(sample?.utilizationPercent ?? -1) && sample?.memory?.freeBytes == 0)
        }
        #expect(devices.sample(DeviceID(.sim, 0), load: 0, allocatedBytes: -5, now: .min) != nil)
        #expect(devices.sample(DeviceID(.sim, 1), load: 0, allocatedBytes: 0, now: 0) == nil)
        #expect(devices.sample(DeviceID(.cuda, 0), load: 0, allocatedBytes: 0, now: 0) == nil)
        #expect(devices.sample(DeviceID(.sim, -1), load: 0, allocatedBytes: 0, now: 0) == nil)
    }
}
