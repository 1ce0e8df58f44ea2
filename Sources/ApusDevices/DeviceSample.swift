package import ApusTensor

/// What one accelerator said about itself at one moment. Nil stands for what the device or its driver does not offer.
package struct DeviceSample: Sendable, Equatable {
    /// Whether the device answered.
    package enum Answer: Sendable, Equatable {
        case given
        /// NVML 15: fallen off the bus.
        case lost
        /// NVML 16: unusable until it is reset.
        case needsReset
        /// Any other NVML code.
        case failed(code: Int)
    }

    package struct Memory: Sendable, Equatable {
        package var totalBytes: Int
        /// Reserved memory included.
        package var usedBytes: Int
        package var freeBytes: Int

        package init(totalBytes: Int, usedBytes: Int, freeBytes: Int) {
            self.totalBytes = totalBytes
            self.usedBytes = usedBytes
            self.freeBytes = freeBytes
        }
    }

    /// `nvmlDeviceGetRemappedRows`.
    package struct RemappedRows: Sendable, Equatable {
        package var corrected: Int
        package var uncorrected: Int
        package var isPending: Bool
        package var hasFailed: Bool

        package init(corrected: Int, uncorrected: Int, isPending: Bool, hasFailed: Bool) {
            self.corrected = corrected
            self.uncorrected = uncorrected
            self.isPending = isPending
            self.hasFailed = hasFailed
        }
    }

    package var device: DeviceID
    package var answer: Answer
    package var memory: Memory?
    /// Percent of time with a kernel running, 0 to 100.
    package var utilizationPercent: Int?
    package var temperatureCelsius: Int?
    /// NVML's own thresholds.
    package var slowdownCelsius: Int?
    package var shutdownCelsius: Int?
    package var powerMilliwatts: Int?
    package var powerLimitMilliwatts: Int?
    package var clockEvents: ClockEvents
    /// Volatile counts, since the driver was loaded.
    package var eccCorrected: UInt64?
    package var eccUncorrected: UInt64?
    package var remappedRows: RemappedRows?
    package var hasRetiredPagesPending: Bool?
    package var pcieReplays: Int?
    /// NVML field 230.
    package var recovery: RecoveryAdvice?
    /// Xid codes since the sample before, in the order they came.
    package var xids: [Int]

    package init(device: DeviceID, answer: Answer = .given) {
        self.device = device
        self.answer = answer
        clockEvents = []
        xids = []
    }
}

/// Why a GPU's clocks are lower than they could be (`nvmlDeviceGetCurrentClocksEventReasons`).
package struct ClockEvents: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    package static let idle = ClockEvents(rawValue: 0x1)
    package static let softwarePowerCap = ClockEvents(rawValue: 0x4)
    package static let hardwareSlowdown = ClockEvents(rawValue: 0x8)
    package static let softwareThermal = ClockEvents(rawValue: 0x20)
    package static let hardwareThermal = ClockEvents(rawValue: 0x40)
    package static let powerBrake = ClockEvents(rawValue: 0x80)
}

/// What the driver says a GPU needs (NVML field 230).
package enum RecoveryAdvice: Int, Sendable, CaseIterable {
    case none = 0
    case reset = 1
    case reboot = 2
    case drainP2P = 3
    case drainAndReset = 4
    case imex = 5
}
