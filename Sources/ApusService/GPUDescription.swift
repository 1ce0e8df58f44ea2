/// What the driver says of an accelerator. Nil stands for what it does not tell.
package struct GPUDescription: Sendable, Equatable {
    package struct Memory: Sendable, Equatable {
        package var totalBytes: Int
        /// By any process.
        package var usedBytes: Int
        package var freeBytes: Int

        package init(totalBytes: Int, usedBytes: Int, freeBytes: Int) {
            self.totalBytes = totalBytes
            self.usedBytes = usedBytes
            self.freeBytes = freeBytes
        }
    }

    /// Memory errors since the driver was loaded.
    package struct ECC: Sendable, Equatable {
        package var corrected: UInt64?
        package var uncorrected: UInt64?

        package init(corrected: UInt64?, uncorrected: UInt64?) {
            self.corrected = corrected
            self.uncorrected = uncorrected
        }
    }

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

    /// NVML's own number.
    package var nvmlIndex: Int?
    package var pciBusID: String?
    package var memory: Memory?
    package var utilizationPercent: Int?
    package var temperatureCelsius: Int?
    package var powerWatts: Double?
    package var powerLimitWatts: Double?
    /// Why its clocks are held down.
    package var clockEvents: [String] = []
    package var ecc: ECC?
    package var remappedRows: RemappedRows?
    package var pcieReplays: Int?
    /// What the driver says it needs: `none`, `reset`, `reboot`, `drain_p2p`, `drain_and_reset`, `imex`.
    package var recovery: String?
    package var driverVersion: String?
    package var cudaVersion: String?
    package var computeCapability: String?

    package init() {}
}
