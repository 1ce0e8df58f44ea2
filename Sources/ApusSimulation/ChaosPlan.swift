package import ApusDevices
package import ApusExecution

/// What remains of the failures that one device is to have. Pure: runs and samples in, failures out.
package struct ChaosPlan: Sendable, Equatable {
    private struct Pending: Sendable, Equatable {
        var entry: ChaosScript.Entry
        /// Runs of it that failed.
        var done = 0
    }

    private var pending: [Pending]
    private var runs = 0
    private var firstServed: Int?
    package private(set) var isLost = false
    private var toldOfLoss = false
    private var throttledSinceSample = false

    /// `entries` are those of one device. When several ask for the same run, the first has it and the others the runs after it.
    package init(_ entries: [ChaosScript.Entry]) {
        pending = entries.map { Pending(entry: $0) }
    }

    package mutating func beganServing(_ now: Int) {
        firstServed = firstServed ?? now
    }

    /// What the run that begins now is to fail with. A lost device stays lost.
    package mutating func next(_ now: Int) -> StepFault? {
        beganServing(now)
        runs += 1
        if isLost { return .lost }
        guard let index = pending.firstIndex(where: { isDue($0.entry, now) }) else { return nil }
        let fault = pending[index].entry.fault
        pending[index].done += 1
        if pending[index].done >= pending[index].entry.count { pending.remove(at: index) }
        if fault == .lost { isLost = true }
        if fault == .throttle { throttledSinceSample = true }
        return fault
    }

    private func isDue(_ entry: ChaosScript.Entry, _ now: Int) -> Bool {
        switch entry.moment {
        case .run(let first): runs >= first
        case .time(let time): firstServed.map { now - $0 >= time } ?? false
        }
    }

    /// What the device's sample says when its failures show in it.
    package mutating func overlay(_ sample: DeviceSample) -> DeviceSample {
        var sample = sample
        if isLost {
            sample.answer = .lost
            if !toldOfLoss { sample.xids.append(79) }
            toldOfLoss = true
        } else if throttledSinceSample {
            sample.clockEvents.insert(.hardwareThermal)
            sample.temperatureCelsius = max(sample.temperatureCelsius ?? 0, sample.slowdownCelsius ?? Self.hotCelsius)
            throttledSinceSample = false
        }
        return sample
    }

    /// Where GPUs slow down that do not tell their threshold.
    private static let hotCelsius = 90
}
