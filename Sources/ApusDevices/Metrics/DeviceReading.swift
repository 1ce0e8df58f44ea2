import ApusTensor

/// The value of one gauge.
struct DeviceReading: Equatable {
    struct Label: Hashable {
        let name: String
        let value: String
    }

    struct Key: Hashable {
        let name: String
        let labels: [Label]
    }

    let key: Key
    let value: Double

    init(_ name: String, _ labels: [(String, String)], _ value: Double) {
        key = Key(name: name, labels: labels.map { Label(name: $0.0, value: $0.1) })
        self.value = value
    }
}

extension DeviceID {
    /// The label `gpu_id`: CUDA's number for CUDA devices, as dashboards know it from other exporters, and the whole name for other
    /// devices, whose numbers would collide with it.
    var gpuID: String { kind == .cuda ? String(index) : description }
}

extension DeviceSample {
    /// What the sample says, in the catalogue's names and units. What the device did not tell is left out.
    var readings: [DeviceReading] {
        let id = ("gpu_id", device.gpuID)
        var readings: [DeviceReading] = []
        func add(_ name: String, _ value: Double?, _ labels: (String, String)...) {
            if let value { readings.append(DeviceReading(name, [id] + labels, value)) }
        }
        add("gpu_memory_used_bytes", memory.map { Double($0.usedBytes) })
        add("gpu_memory_available_bytes", memory.map { Double($0.freeBytes) })
        add("gpu_utilization_percent", utilizationPercent.map(Double.init))
        add("gpu_temperature_celsius", temperatureCelsius.map(Double.init))
        add("gpu_temperature_limit_celsius", slowdownCelsius.map(Double.init), ("kind", "slowdown"))
        add("gpu_temperature_limit_celsius", shutdownCelsius.map(Double.init), ("kind", "shutdown"))
        add("gpu_power_watts", powerMilliwatts.map { Double($0) / 1000 })
        add("gpu_power_limit_watts", powerLimitMilliwatts.map { Double($0) / 1000 })
        if answer == .given {
            for (reason, event) in ClockEvents.reasons {
                add("gpu_clock_event_active", clockEvents.contains(event) ? 1 : 0, ("reason", reason))
            }
        }
        add("gpu_remapped_rows", remappedRows.map { Double($0.corrected) }, ("kind", "corrected"))
        add("gpu_remapped_rows", remappedRows.map { Double($0.uncorrected) }, ("kind", "uncorrected"))
        add("gpu_remapped_rows", remappedRows.map { $0.isPending ? 1 : 0 }, ("kind", "pending"))
        add("gpu_remapped_rows", remappedRows.map { $0.hasFailed ? 1 : 0 }, ("kind", "failed"))
        add("gpu_retired_pages_pending", hasRetiredPagesPending.map { $0 ? 1 : 0 })
        add("gpu_ecc_errors", eccCorrected.map { Double($0) }, ("kind", "corrected"))
        add("gpu_ecc_errors", eccUncorrected.map { Double($0) }, ("kind", "uncorrected"))
        if let recovery {
            for advice in RecoveryAdvice.allCases {
                add("gpu_recovery_action", advice == recovery ? 1 : 0, ("action", advice.name))
            }
        }
        return readings
    }
}

extension ClockEvents {
    /// In the order of their bits, with the names that the label `reason` has.
    package static let reasons: [(String, ClockEvents)] = [
        ("idle", .idle), ("software_power_cap", .softwarePowerCap), ("hardware_slowdown", .hardwareSlowdown),
        ("software_thermal", .softwareThermal), ("hardware_thermal", .hardwareThermal), ("power_brake", .powerBrake),
    ]
}

extension RecoveryAdvice {
    /// The label `action`.
    package var name: String {
        switch self {
        case .none: "none"
        case .reset: "reset"
        case .reboot: "reboot"
        case .drainP2P: "drain_p2p"
        case .drainAndReset: "drain_and_reset"
        case .imex: "imex"
        }
    }
}
