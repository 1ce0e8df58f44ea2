package import ApusDevices
package import ApusErrors
package import ApusTensor

/// What the simulated accelerators of `--devices sim:N` say about themselves: figures that move with the load they are given.
package struct SimulatedDevices: Sendable {
    /// The device with the highest number is `sim:1023`.
    package static let largestCount = 1024
    /// Bytes of memory of each.
    package static let memoryBytes = 16 << 30
    /// Bytes that its driver takes.
    static let reservedBytes = 512 << 20
    static let idleCelsius = 35.0
    static let busyCelsius = 80.0
    /// Nanoseconds in which a device comes halfway near the temperature of its load.
    static let warmUp = 20e9

    private struct Heat: Sendable {
        var celsius = SimulatedDevices.idleCelsius
        var time: Int?
    }

    package let infos: [GPUInfo]
    private var heat: [Heat]

    /// Throws `invalid_value` unless there are 1 to ``largestCount`` devices.
    package init(count: Int) throws(ApusError) {
        guard (1...Self.largestCount).contains(count) else {
            throw ApusError(.invalidValue, "\(count) simulated devices were asked for, there can be 1 to \(Self.largestCount)")
        }
        infos = (0..<count).map { index in
            GPUInfo(device: DeviceID(.sim, index), name: "Simulated accelerator", uuid: "SIM-\(index)")
        }
        heat = Array(repeating: Heat(), count: count)
    }

    /// One sample; nil for a device that is not there.
    ///
    /// - Parameters:
    ///   - load: share of time that the device computed since its last sample, 0 to 1.
    ///   - allocatedBytes: what its executor holds.
    ///   - now: nanoseconds on the caller's clock.
    package mutating func sample(_ device: DeviceID, load: Double, allocatedBytes: Int, now: Int) -> DeviceSample? {
        guard device.kind == .sim, heat.indices.contains(device.index) else { return nil }
        let load = load.isFinite ? min(1, max(0, load)) : 0
        var heat = heat[device.index]
        let goal = Self.idleCelsius + load * (Self.busyCelsius - Self.idleCelsius)
        let elapsed = heat.time.map { max(0, Double(now) - Double($0)) } ?? 0
        heat.celsius += (goal - heat.celsius) * elapsed / (elapsed + Self.warmUp)
        heat.time = now
        self.heat[device.index] = heat

        var sample = DeviceSample(device: device)
        let used = min(Self.memoryBytes, Self.reservedBytes + min(Self.memoryBytes, max(0, allocatedBytes)))
        sample.memory = .init(totalBytes: Self.memoryBytes, usedBytes: used, freeBytes: Self.memoryBytes - used)
        sample.utilizationPercent = Int((100 * load).rounded())
        sample.temperatureCelsius = Int(heat.celsius.rounded())
        sample.slowdownCelsius = 90
        sample.shutdownCelsius = 95
        sample.powerMilliwatts = 40_000 + Int((260_000 * load).rounded())
        sample.powerLimitMilliwatts = 300_000
        sample.clockEvents = load == 0 ? .idle : []
        sample.eccCorrected = 0
        sample.eccUncorrected = 0
        sample.pcieReplays = 0
        sample.recovery = RecoveryAdvice.none
        return sample
    }
}
