/// Judges the health of one device (DEV-6) from what it says about itself and from how it computes. Pure: keeps the history that rates and
/// comparisons need; times are nanoseconds on the caller's clock. CPU devices have no samples and are judged by how they compute.
package struct HealthJudge: Sendable {
    package let limits: HealthLimits
    private var speed: SpeedBaseline
    private var isAnswerWrong = false
    /// Samples with the device slowed down, oldest first.
    private var slowdowns: [Int] = []
    /// PCIe replays as counted, oldest first; the first one may be older than the window.
    private var replays: [(time: Int, count: Int)] = []
    private var uncorrected: (latest: UInt64, grewAt: Int?)?

    package init(limits: HealthLimits = .standard) {
        self.limits = limits
        speed = SpeedBaseline(slowness: limits.slowness, recentCount: limits.batches)
    }

    /// How many times slower than usual the recent batches were; nil while too few are known.
    package var slowdown: Double? { speed.slowdown }

    /// A batch was computed.
    ///
    /// - Parameter computed: processor time that the device's process has taken so far, seconds; nil for devices that compute elsewhere, and
    ///   where it is not known.
    package mutating func record(tokens: Int, seconds: Double, computed: Double? = nil, now: Int) {
        speed.record(tokens: tokens, seconds: seconds, computed: computed, now: now)
    }

    /// A known answer came out. After a wrong one the device is not healthy until a right one comes.
    package mutating func record(_ answer: KnownAnswer) {
        switch answer {
        case .right: isAnswerWrong = false
        case .wrong: isAnswerWrong = true
        case .failed: break
        }
    }

    /// The device has a new worker: its recent speed is that of the one before.
    package mutating func workerChanged() { speed.forgetRecent() }

    /// Judges a device that tells nothing about itself.
    package func verdict() -> HealthVerdict { HealthVerdict(computing()) }

    /// Judges a device by its latest sample too.
    package mutating func verdict(_ sample: DeviceSample, now: Int) -> HealthVerdict {
        let own = computing()
        switch sample.answer {
        case .lost: return HealthVerdict(own + [.init(.answer, .fallBack, "the device fell off the bus")])
        case .needsReset: return HealthVerdict(own + [.init(.answer, .fallBack, "the device needs a reset")])
        case .failed(let code): return HealthVerdict(own + [.init(.answer, .investigate, "the driver fails with NVML code \(code)")])
        case .given: break
        }
        let checks = [
            memory(sample), temperature(sample), clocks(sample, now), pcie(sample, now), ecc(sample, now), rows(sample),
            retiredPages(sample),
        ]
        return HealthVerdict(own + checks.compactMap { $0 })
    }

    private func computing() -> [HealthVerdict.Finding] {
        var findings: [HealthVerdict.Finding] = []
        if isAnswerWrong { findings.append(.init(.knownAnswer, .fallBack, "its latest known answer was wrong")) }
        if let slowdown, slowdown > limits.slowness {
            let times = "\(rounded(slowdown)) times their usual time, limit \(rounded(limits.slowness))"
            findings.append(.init(.performance, .throttle, "recent batches took \(times)"))
        }
        return findings
    }

    private func memory(_ sample: DeviceSample) -> HealthVerdict.Finding? {
        guard let memory = sample.memory, memory.totalBytes > 0 else { return nil }
        let free = Double(memory.freeBytes) / Double(memory.totalBytes)
        guard free < limits.leastFreeShare else { return nil }
        let shares = "\(rounded(100 * free)) %, limit \(rounded(100 * limits.leastFreeShare)) %"
        return .init(.memory, .throttle, "\(memory.freeBytes >> 20) of \(memory.totalBytes >> 20) MiB are free, \(shares)")
    }

    private func temperature(_ sample: DeviceSample) -> HealthVerdict.Finding? {
        guard let celsius = sample.temperatureCelsius else { return nil }
        if let shutdown = sample.shutdownCelsius, celsius >= shutdown - limits.temperatureMargin {
            return .init(.temperature, .fallBack, "\(celsius) C, the driver shuts it down at \(shutdown) C")
        }
        if let slowdown = sample.slowdownCelsius, celsius >= slowdown - limits.temperatureMargin {
            return .init(.temperature, .throttle, "\(celsius) C, the driver slows it down at \(slowdown) C")
        }
        return nil
    }

    private mutating func clocks(_ sample: DeviceSample, _ now: Int) -> HealthVerdict.Finding? {
        let window = limits.window.wholeNanoseconds
        slowdowns.removeAll { $0.addingSaturated(window) <= now }
        let slow = sample.clockEvents.intersection([.hardwareSlowdown, .hardwareThermal, .powerBrake])
        if !slow.isEmpty { slowdowns.append(now) }
        let rate = Double(slowdowns.count) / (Double(window) / 60e9)
        guard rate > limits.slowdownsPerMinute else { return nil }
        let rates = "\(rounded(rate)) a minute, limit \(rounded(limits.slowdownsPerMinute))"
        return .init(
            .clocks, .throttle, "slowed down by the hardware in \(slowdowns.count) samples of the last \(limits.window), \(rates)")
    }

    private mutating func pcie(_ sample: DeviceSample, _ now: Int) -> HealthVerdict.Finding? {
        guard let count = sample.pcieReplays else { return nil }
        // A counter that fell was reset with its driver.
        if let last = replays.last, count < last.count { replays.removeAll() }
        replays.append((now, count))
        let minute = 60_000_000_000
        while replays.count > 2, replays[1].time.addingSaturated(minute) <= now { replays.removeFirst() }
        guard let first = replays.first, now > first.time else { return nil }
        let rate = Double(count - first.count) / max(1, Double(now - first.time) / Double(minute))
        guard rate > limits.pcieReplaysPerMinute else { return nil }
        return .init(
            .pcie, .throttle, "\(rounded(rate)) PCIe replays a minute, limit \(rounded(limits.pcieReplaysPerMinute))")
    }

    private mutating func ecc(_ sample: DeviceSample, _ now: Int) -> HealthVerdict.Finding? {
        guard let count = sample.eccUncorrected else { return nil }
        var grewAt = uncorrected?.grewAt
        if count > uncorrected?.latest ?? count { grewAt = now }
        uncorrected = (count, grewAt)
        guard let grewAt, grewAt.addingSaturated(limits.window.wholeNanoseconds) > now else { return nil }
        return .init(.ecc, .investigate, "\(count) memory errors that could not be corrected, more than before")
    }

    private func rows(_ sample: DeviceSample) -> HealthVerdict.Finding? {
        guard let rows = sample.remappedRows else { return nil }
        if rows.hasFailed { return .init(.remappedRows, .fallBack, "a broken row of memory could not be replaced") }
        guard rows.isPending else { return nil }
        return .init(
            .remappedRows, .investigate, "\(rows.uncorrected) rows of memory are broken, their replacement waits for a reset of the device")
    }

    private func retiredPages(_ sample: DeviceSample) -> HealthVerdict.Finding? {
        guard sample.hasRetiredPagesPending == true else { return nil }
        return .init(.remappedRows, .investigate, "pages of memory are to be retired, which waits for a reset of the device")
    }

    /// Two places are enough for people.
    private func rounded(_ value: Double) -> String {
        let hundredths = (value * 100).rounded() / 100
        return hundredths == hundredths.rounded() && abs(hundredths) < 1e15 ? String(Int(hundredths)) : String(hundredths)
    }
}
