import ApusTensor

/// What has been seen of the accelerators so far: it keeps their numbers and facts when one of them disappears.
///
/// CUDA and NVML number anew in every process, so after a loss the same number can mean another GPU. Numbers given once stay with the UUID.
package struct DeviceRoster: Sendable, Equatable {
    /// In the order in which they were first seen.
    private var known: [GPUInfo] = []

    package init() {}

    /// Takes a snapshot in and gives it back with lasting numbers, and with the devices that it lacks: lost, or what the driver says of the GPU in
    /// their place.
    package mutating func take(_ snapshot: DeviceSnapshot) -> DeviceSnapshot {
        var result = snapshot
        var renamed: [DeviceID: DeviceID] = [:]
        // Devices seen before first, so that a new one never takes the number of another.
        for place in result.devices.indices {
            if let old = known.firstIndex(where: { $0.uuid.utf8.elementsEqual(result.devices[place].uuid.utf8) }) {
                renamed[result.devices[place].device] = known[old].device
            }
        }
        for place in result.devices.indices {
            let told = result.devices[place].device
            let lasting = renamed[told] ?? free(told)
            renamed[told] = lasting
            result.devices[place].device = lasting
            result.devices[place].sample?.device = lasting
            remember(result.devices[place])
        }
        result.links = result.links.map { DeviceLink(renamed[$0.first] ?? $0.first, renamed[$0.second] ?? $0.second, $0.connection) }
        let present = Set(result.devices.map(\.device))
        for var device in known where !present.contains(device.device) {
            let silent = result.silent.first { $0.nvmlIndex == device.nvmlIndex }
            device.sample = DeviceSample(device: device.device, answer: silent?.answer ?? .lost)
            result.devices.append(device)
        }
        result.devices.sort { $0.device < $1.device }
        return result
    }

    private mutating func remember(_ device: GPUInfo) {
        var device = device
        device.sample = nil
        if let place = known.firstIndex(where: { $0.device == device.device }) {
            known[place] = device
        } else {
            known.append(device)
        }
    }

    /// `wanted`, or the next number that nobody has.
    private func free(_ wanted: DeviceID) -> DeviceID {
        let taken = Set(known.map(\.device))
        var device = wanted
        while taken.contains(device) { device = DeviceID(device.kind, device.index + 1) }
        return device
    }
}
