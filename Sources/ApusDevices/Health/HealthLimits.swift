package import ApusErrors

/// From where on a figure of a device is worth a finding.
package struct HealthLimits: Sendable, Equatable {
    /// Share of the memory that must be free, 0 to 1.
    package let leastFreeShare: Double
    /// Degrees below the driver's slowdown threshold at which a device is hot, and below its shutdown threshold at which it must rest.
    package let temperatureMargin: Int
    /// Samples with a hardware slowdown, a thermal slowdown or the power brake (0x8, 0x40, 0x80), per minute of the window.
    package let slowdownsPerMinute: Double
    package let pcieReplaysPerMinute: Double
    /// Over how long rates are taken.
    package let window: Duration
    /// How many times slower than usual a device may be.
    package let slowness: Double
    /// Recent batches that speed is judged by; with fewer it is not.
    package let batches: Int

    /// gpud's default.
    package static let defaultSlowdownsPerMinute = 0.6
    /// DCGM's `DCGM_LIMIT_MAX_PCIREPLAY_RATE`.
    package static let defaultPCIeReplaysPerMinute = 8.0

    package static let standard = HealthLimits(
        unchecked: 0.03, 3, defaultSlowdownsPerMinute, defaultPCIeReplaysPerMinute, .seconds(600), 2, 16)

    /// Throws `invalid_value` for shares outside 0 to 1, rates and margins below 0, a slowness of 1 or less, a window under a second or
    /// over a day, and a number of batches below 1.
    package init(
        leastFreeShare: Double = standard.leastFreeShare, temperatureMargin: Int = standard.temperatureMargin,
        slowdownsPerMinute: Double = defaultSlowdownsPerMinute, pcieReplaysPerMinute: Double = defaultPCIeReplaysPerMinute,
        window: Duration = standard.window, slowness: Double = standard.slowness, batches: Int = standard.batches
    ) throws(ApusError) {
        let faults: [(Bool, String)] = [
            (!(0...1).contains(leastFreeShare), "least share of free memory is \(leastFreeShare), it must be from 0 to 1"),
            (temperatureMargin < 0, "temperature margin is \(temperatureMargin), it must be at least 0"),
            (!(slowdownsPerMinute >= 0), "limit of slowdowns is \(slowdownsPerMinute) a minute, it must be at least 0"),
            (!(pcieReplaysPerMinute >= 0), "limit of PCIe replays is \(pcieReplaysPerMinute) a minute, it must be at least 0"),
            (window < .seconds(1) || window > .seconds(86_400), "health window is \(window), it must be from a second to a day"),
            (!(slowness > 1 && slowness.isFinite), "slowness limit is \(slowness), it must be above 1"),
            (batches < 1, "number of batches that speed is judged by is \(batches), it must be at least 1"),
        ]
        for (isWrong, text) in faults where isWrong { throw ApusError(.invalidValue, "the \(text)") }
        self.init(
            unchecked: leastFreeShare, temperatureMargin, slowdownsPerMinute, pcieReplaysPerMinute, window, slowness, batches)
    }

    private init(
        unchecked leastFreeShare: Double, _ temperatureMargin: Int, _ slowdownsPerMinute: Double, _ pcieReplaysPerMinute: Double,
        _ window: Duration, _ slowness: Double, _ batches: Int
    ) {
        self.leastFreeShare = leastFreeShare
        self.temperatureMargin = temperatureMargin
        self.slowdownsPerMinute = slowdownsPerMinute
        self.pcieReplaysPerMinute = pcieReplaysPerMinute
        self.window = window
        self.slowness = slowness
        self.batches = batches
    }
}
