import ApusDevices
import ApusService

extension GPUDescription {
    init(_ info: GPUInfo) {
        self.init()
        nvmlIndex = info.nvmlIndex
        pciBusID = info.pciBusID
        driverVersion = info.driverVersion
        cudaVersion = info.cudaVersion
        computeCapability = info.computeCapability?.description
        guard let sample = info.sample else { return }
        memory = sample.memory.map { Memory(totalBytes: $0.totalBytes, usedBytes: $0.usedBytes, freeBytes: $0.freeBytes) }
        utilizationPercent = sample.utilizationPercent
        temperatureCelsius = sample.temperatureCelsius
        powerWatts = sample.powerMilliwatts.map { Double($0) / 1000 }
        powerLimitWatts = sample.powerLimitMilliwatts.map { Double($0) / 1000 }
        clockEvents = ClockEvents.reasons.filter { sample.clockEvents.contains($0.1) }.map(\.0)
        if sample.eccCorrected != nil || sample.eccUncorrected != nil {
            ecc = ECC(corrected: sample.eccCorrected, uncorrected: sample.eccUncorrected)
        }
        remappedRows = sample.remappedRows.map {
            RemappedRows(corrected: $0.corrected, uncorrected: $0.uncorrected, isPending: $0.isPending, hasFailed: $0.hasFailed)
        }
        pcieReplays = sample.pcieReplays
        recovery = sample.recovery?.name
    }
}
