import ApusTensor

/// One candidate held against a request: what speaks against it, what for it.
struct DeviceTrial {
    let candidate: DeviceCandidate
    /// Any of these rules the device out.
    private(set) var objections: [String] = []
    private(set) var merits: [String] = []
    private let rank: Rank

    var isFit: Bool { objections.isEmpty }

    /// - Parameter cpuScore: the best CPU's score; nil when none was measured.
    init(_ candidate: DeviceCandidate, _ request: SelectionRequest, cpuScore: Double?) {
        self.candidate = candidate
        rank = Rank(
            kind: request.kinds.firstIndex(of: candidate.device.kind) ?? .max, health: candidate.health.outcome,
            score: candidate.score ?? 0, freeBytes: candidate.freeBytes ?? 0, device: candidate.device)
        checkWishes(request)
        checkHealth()
        checkMemory(request)
        checkSpeed(request, cpuScore)
        if objections.isEmpty, merits.isEmpty { merits.append("healthy") }
    }

    func isBetter(than other: DeviceTrial) -> Bool { rank.isBetter(than: other.rank) }

    private mutating func checkWishes(_ request: SelectionRequest) {
        let device = candidate.device
        if let assigned = request.assignedDevice {
            if assigned == device {
                merits.append("\(request.model) is assigned to it")
                // An assignment is stronger than every preference.
                return
            }
            // A CPU stands in for an accelerator that cannot.
            if device.kind.isAccelerator || !assigned.kind.isAccelerator { objections.append("\(request.model) is assigned to \(assigned)") }
        }
        guard request.kinds.contains(device.kind) else {
            objections.append("\(device.kind.rawValue) is not in device_preference")
            return
        }
        guard device.kind.isAccelerator else { return }
        if request.preference == .cpu { objections.append("CPUs are preferred (prefer_gpu is off)") }
        if !request.preferredDevices.isEmpty, !request.preferredDevices.contains(device), request.assignedDevice == nil {
            let names = request.preferredDevices.map(\.description).joined(separator: ", ")
            objections.append("it is not among the devices asked for, \(names)")
        }
    }

    private mutating func checkHealth() {
        let texts = candidate.health.findings.map(\.text)
        switch candidate.health.outcome {
        case .healthy: break
        case .throttle: merits.append("weakened: \(texts.joined(separator: ", "))")
        case .investigate: merits.append("to be watched: \(texts.joined(separator: ", "))")
        case .fallBack: objections.append("unhealthy: \(texts.joined(separator: ", "))")
        }
    }

    private mutating func checkMemory(_ request: SelectionRequest) {
        let needed = Self.mebibytes(request.modelBytes, .up)
        if let limit = request.memoryLimitBytes, candidate.device.kind.isAccelerator, request.modelBytes > limit {
            objections.append("\(request.model) needs \(needed) MiB, and the memory limit is \(Self.mebibytes(limit, .down))")
        }
        guard let free = candidate.freeBytes else { return }
        let figures = "\(needed) MiB needed, \(Self.mebibytes(max(0, free), .down)) free"
        if request.modelBytes > free { objections.append("too little memory: \(figures)") } else { merits.append(figures) }
    }

    private mutating func checkSpeed(_ request: SelectionRequest, _ cpuScore: Double?) {
        guard let score = candidate.score else {
            if candidate.device.kind.isAccelerator { merits.append("its speed was not measured") }
            return
        }
        guard candidate.device.kind.isAccelerator, let cpuScore, cpuScore > 0 else {
            merits.append("\(Self.rounded(score)) texts/s measured")
            return
        }
        let ratio = score / cpuScore
        let figures = "\(Self.rounded(ratio)) times the CPU's speed (\(Self.rounded(score)) against \(Self.rounded(cpuScore)) texts/s)"
        if ratio >= request.performanceThreshold {
            merits.append(figures)
        } else {
            objections.append("\(figures), and \(Self.rounded(request.performanceThreshold)) times is asked for")
        }
    }

    private struct Rank {
        let kind: Int
        let health: HealthVerdict.Outcome
        let score: Double
        let freeBytes: Int
        let device: DeviceID

        func isBetter(than other: Rank) -> Bool {
            if kind != other.kind { return kind < other.kind }
            if health != other.health { return health < other.health }
            // A tenth more or less is noise of the measurement, which must not scatter models over the devices. Steps of a tenth, so that the
            // order stays one.
            let (mine, theirs) = (Self.step(score), Self.step(other.score))
            if mine != theirs { return mine > theirs }
            if freeBytes != other.freeBytes { return freeBytes > other.freeBytes }
            return device < other.device
        }

        /// The number of times a score can be divided by 1.1 before it is below 1.
        private static func step(_ score: Double) -> Int {
            var (value, steps) = (score, 0)
            while value >= 1, steps < 1_000 {
                value /= 1.1
                steps += 1
            }
            return steps
        }
    }

    private enum Rounding {
        case up
        case down
    }

    private static func mebibytes(_ bytes: Int, _ rounding: Rounding) -> String {
        let (whole, rest) = bytes.quotientAndRemainder(dividingBy: 1 << 20)
        return String(rounding == .up && rest > 0 ? whole + 1 : whole)
    }

    /// Three digits or all that stand before the point.
    private static func rounded(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let factor = abs(value) >= 100 ? 1.0 : abs(value) >= 10 ? 10.0 : 100.0
        let result = (value * factor).rounded() / factor
        return result == result.rounded() ? String(Int(result)) : "\(result)"
    }
}
