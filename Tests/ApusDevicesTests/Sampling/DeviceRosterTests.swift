import ApusDevices
import ApusTensor
import Testing

@Suite struct DeviceRosterTests {
    private func gpu(_ number: Int, _ uuid: String, nvml: Int) -> GPUInfo {
        var info = GPUInfo(device: DeviceID(.cuda, number), name: "G", uuid: uuid)
        info.nvmlIndex = nvml
        info.sample = DeviceSample(device: info.device)
        return info
    }

    @Test func whatStaysTheSameIsGivenBackAsItCame() {
        var roster = DeviceRoster()
        let snapshot = DeviceSnapshot(devices: [gpu(0, "a", nvml: 1), gpu(1, "b", nvml: 0)])
        #expect(roster.take(snapshot) == snapshot)
        #expect(roster.take(snapshot) == snapshot)
    }

    @Test func aDeviceThatDisappearsIsLostAndTheOthersKeepTheirNumbers() {
        var roster = DeviceRoster()
        _ = roster.take(DeviceSnapshot(devices: [gpu(0, "a", nvml: 0), gpu(1, "b", nvml: 1), gpu(2, "c", nvml: 2)]))
        // A new process numbers the two that are left anew.
        let link = DeviceLink(DeviceID(.cuda, 0), DeviceID(.cuda, 1), .init(ancestor: .hostBridge))
        let seen = roster.take(DeviceSnapshot(devices: [gpu(0, "b", nvml: 0), gpu(1, "c", nvml: 1)], links: [link]))
        #expect(seen.devices.map(\.uuid) == ["a", "b", "c"])
        #expect(seen.devices.map(\.device.index) == [0, 1, 2])
        #expect(seen.devices.map(\.sample?.answer) == [.lost, .given, .given])
        #expect(seen.devices.map(\.sample?.device.index) == [0, 1, 2])
        #expect(seen.links == [DeviceLink(DeviceID(.cuda, 1), DeviceID(.cuda, 2), .init(ancestor: .hostBridge))])
        let back = roster.take(DeviceSnapshot(devices: [gpu(0, "a", nvml: 0), gpu(1, "b", nvml: 1), gpu(2, "c", nvml: 2)]))
        #expect(back.devices.allSatisfy { $0.sample?.answer == .given })
    }

    @Test func aSilentGPUIsTheOneThatWasInItsPlace() {
        var roster = DeviceRoster()
        _ = roster.take(DeviceSnapshot(devices: [gpu(0, "a", nvml: 4), gpu(1, "b", nvml: 5)]))
        let seen = roster.take(
            DeviceSnapshot(devices: [gpu(0, "a", nvml: 4)], silent: [.init(nvmlIndex: 5, answer: .needsReset)]))
        #expect(seen[DeviceID(.cuda, 1)]?.sample?.answer == .needsReset)
        #expect(seen[DeviceID(.cuda, 1)]?.uuid == "b")
    }

    @Test func anOldDevicesNumberIsNeverGivenToANewOne() {
        var random = SeededGenerator(seed: 8)
        for _ in 0..<300 {
            var roster = DeviceRoster()
            var numbers: [String: DeviceID] = [:]
            for _ in 0..<12 {
                let uuids = ["a", "b", "c", "d", "e"].shuffled(using: &random).prefix(Int.random(in: 0...5, using: &random))
                let seen = roster.take(
                    DeviceSnapshot(devices: uuids.enumerated().map { gpu($0.offset, $0.element, nvml: $0.offset) }))
                #expect(Set(seen.devices.map(\.device)).count == seen.devices.count)
                for device in seen.devices {
                    #expect(numbers[device.uuid] ?? device.device == device.device)
                    numbers[device.uuid] = device.device
                    #expect((device.sample?.answer == .given) == uuids.contains(device.uuid))
                    #expect(device.sample?.device == device.device)
                }
                #expect(Set(seen.devices.map(\.uuid)) == Set(numbers.keys))
            }
        }
    }
}
