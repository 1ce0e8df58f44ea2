import CNVML
package import ApusTensor

extension NVMLSession {
    /// Asks one GPU for everything that a sample holds, Xid errors excepted. Stops at the first answer that the GPU is lost or needs a reset.
    ///
    /// - Parameters:
    ///   - place: in NVML's order, below ``count``.
    ///   - device: what the sample calls the GPU.
    package func sample(_ place: Int, as device: DeviceID) -> DeviceSample {
        var sample = DeviceSample(device: device)
        guard devices.indices.contains(place), let handle = devices[place].handle else {
            let code = devices.indices.contains(place) ? devices[place].code : APUS_NVML_GPU_NOT_FOUND
            sample.answer = NVMLCode(code).complaint ?? .failed(code: Int(code))
            return sample
        }
        var round = NVMLRound()
        sample.memory = memory(handle, &round)
        sample.temperatureCelsius = temperature(handle, &round)
        sample.utilizationPercent = round.read(ApusNvmlUtilization()) { table.DeviceGetUtilizationRates?(handle, $0) }.map { Int($0.gpu) }
        // These three exist on every GPU: without an answer to any of them, the first complaint is the answer.
        let isAnswering = sample.memory != nil || sample.temperatureCelsius != nil || sample.utilizationPercent != nil

        sample.shutdownCelsius = round.number { table.DeviceGetTemperatureThreshold?(handle, 0, $0) }
        sample.slowdownCelsius = round.number { table.DeviceGetTemperatureThreshold?(handle, 1, $0) }
        sample.powerMilliwatts = round.number { table.DeviceGetPowerUsage?(handle, $0) }
        sample.powerLimitMilliwatts = round.number { table.DeviceGetEnforcedPowerLimit?(handle, $0) }
        let clocks =
            round.read(UInt64(0)) { table.DeviceGetCurrentClocksEventReasons?(handle, $0) }
            ?? round.read(UInt64(0)) { table.DeviceGetCurrentClocksThrottleReasons?(handle, $0) }
        sample.clockEvents = ClockEvents(rawValue: clocks ?? 0)
        sample.eccCorrected = round.read(UInt64(0)) { table.DeviceGetTotalEccErrors?(handle, 0, 0, $0) }
        sample.eccUncorrected = round.read(UInt64(0)) { table.DeviceGetTotalEccErrors?(handle, 1, 0, $0) }
        sample.remappedRows = round.read((corrected: UInt32(0), uncorrected: UInt32(0), pending: UInt32(0), failed: UInt32(0))) {
            table.DeviceGetRemappedRows?(
                handle, &$0.pointee.corrected, &$0.pointee.uncorrected, &$0.pointee.pending, &$0.pointee.failed)
        }.map {
            DeviceSample.RemappedRows(
                corrected: Int($0.corrected), uncorrected: Int($0.uncorrected), isPending: $0.pending != 0, hasFailed: $0.failed != 0)
        }
        sample.hasRetiredPagesPending = round.read(Int32(0)) { table.DeviceGetRetiredPagesPendingStatus?(handle, $0) }.map { $0 != 0 }
        sample.pcieReplays = round.number { table.DeviceGetPcieReplayCounter?(handle, $0) }
        sample.recovery = recovery(handle, &round)
        sample.answer = round.answer(isAnswering: isAnswering)
        return sample
    }

    private func memory(_ handle: OpaquePointer, _ round: inout NVMLRound) -> DeviceSample.Memory? {
        let second = round.read(ApusNvmlMemoryV2(version: APUS_NVML_MEMORY_V2, total: 0, reserved: 0, free: 0, used: 0)) {
            table.DeviceGetMemoryInfo_v2?(handle, $0)
        }
        if let second {
            return DeviceSample.Memory(
                totalBytes: Int(clamping: second.total), usedBytes: Int(clamping: second.used.addingSaturating(second.reserved)),
                freeBytes: Int(clamping: second.free))
        }
        return round.read(ApusNvmlMemory()) { table.DeviceGetMemoryInfo?(handle, $0) }.map {
            DeviceSample.Memory(
                totalBytes: Int(clamping: $0.total), usedBytes: Int(clamping: $0.used), freeBytes: Int(clamping: $0.free))
        }
    }

    private func temperature(_ handle: OpaquePointer, _ round: inout NVMLRound) -> Int? {
        let versioned = round.read(ApusNvmlTemperature(version: APUS_NVML_TEMPERATURE_V1, sensor: 0, temperature: 0)) {
            table.DeviceGetTemperatureV?(handle, $0)
        }
        return versioned.map { Int($0.temperature) } ?? round.number { table.DeviceGetTemperature?(handle, 0, $0) }
    }

    private func recovery(_ handle: OpaquePointer, _ round: inout NVMLRound) -> RecoveryAdvice? {
        var field = ApusNvmlFieldValue()
        field.field_id = UInt32(APUS_NVML_FIELD_RECOVERY_ACTION)
        // The call can succeed while the field's own status says that the GPU has no such field.
        guard let answer = round.read(field, { table.DeviceGetFieldValues?(handle, 1, $0) }), answer.status == APUS_NVML_SUCCESS else {
            return nil
        }
        return RecoveryAdvice(field: answer.value, valueType: answer.value_type)
    }
}

extension RecoveryAdvice {
    /// - Parameters:
    ///   - field: the union of an `nvmlFieldValue_t`.
    ///   - valueType: which member of it is set.
    init?(field: UInt64, valueType: Int32) {
        let value: UInt64
        switch valueType {
        case 1, 5: value = field & 0xFFFF_FFFF
        case 6: value = field & 0xFFFF
        case 2, 3, 4: value = field
        default: return nil
        }
        switch value {
        // Drivers of 2026 tell a reset of the bus and a restart of the system apart from the two that were there before.
        case 6: self = .reset
        case 7: self = .reboot
        default:
            // An action that this table does not know is one all the same.
            self = Int(exactly: value).flatMap(RecoveryAdvice.init(rawValue:)) ?? .reset
        }
    }
}

/// The questions that one GPU is asked in one round, and what became of them.
struct NVMLRound {
    /// The first complaint that was not final.
    private var failure: DeviceSample.Answer?
    /// Lost, or in need of a reset: there is nothing more to ask.
    private var end: DeviceSample.Answer?

    /// What `call` writes into a copy of `initial`; nil unless it succeeds. A nil code stands for a function that the library lacks.
    mutating func read<Value>(_ initial: Value, _ call: (UnsafeMutablePointer<Value>) -> Int32?) -> Value? {
        guard end == nil else { return nil }
        var value = initial
        guard let code = withUnsafeMutablePointer(to: &value, call) else { return nil }
        guard code != APUS_NVML_SUCCESS else { return value }
        switch NVMLCode(code).complaint {
        case .lost: end = .lost
        case .needsReset: end = .needsReset
        case let complaint: failure = failure ?? complaint
        }
        return nil
    }

    mutating func number(_ call: (UnsafeMutablePointer<UInt32>) -> Int32?) -> Int? {
        read(UInt32(0), call).map { Int($0) }
    }

    /// - Parameter isAnswering: whether a basic question was answered. One odd figure that fails says nothing of a GPU that answers.
    func answer(isAnswering: Bool) -> DeviceSample.Answer {
        end ?? (isAnswering ? .given : failure ?? .given)
    }
}

extension UInt64 {
    fileprivate func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
