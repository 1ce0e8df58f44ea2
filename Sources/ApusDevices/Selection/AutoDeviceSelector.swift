package import ApusErrors
import ApusTensor

/// Chooses the devices of a model (DEV-3, DEV-4): accelerators that are healthy, have the memory and are fast enough; otherwise CPUs.
package enum AutoDeviceSelector {
    /// Throws `invalid_value` when the model is assigned to a device that is no candidate.
    package static func select(_ request: SelectionRequest, from candidates: [DeviceCandidate]) throws(ApusError) -> DeviceSelection {
        if let assigned = request.assignedDevice, !candidates.contains(where: { $0.device == assigned }) {
            throw ApusError(
                .invalidValue, "\(assigned) does not exist or is not used", place: "model_assignments.\(request.model)",
                advice: "Available: \(candidates.map(\.device.description).joined(separator: ", "))")
        }
        let cpuScore = candidates.filter { !$0.device.kind.isAccelerator }.compactMap(\.score).max()
        let trials = candidates.map { DeviceTrial($0, request, cpuScore: cpuScore) }
        let fit = trials.indices.filter { trials[$0].isFit && trials[$0].candidate.device.kind.isAccelerator }
        // An assignment is not bound to the kinds of the preference; nothing else is fit then.
        let order = request.assignedDevice.map { [$0.kind] } ?? request.kinds
        let kind = order.first { kind in fit.contains { trials[$0].candidate.device.kind == kind } }

        var round = SelectionRound(request, trials)
        if let kind {
            round.choose(from: fit.filter { trials[$0].candidate.device.kind == kind })
            for place in fit where trials[place].candidate.device.kind != kind {
                round.pass(place, "\(kind.rawValue) devices come first in device_preference")
            }
        }
        let processors = trials.indices.filter { trials[$0].isFit && !trials[$0].candidate.device.kind.isAccelerator }
        if kind == nil {
            round.choose(from: processors)
        } else {
            for place in processors { round.pass(place, "an accelerator can have the model") }
        }
        return round.selection
    }
}

/// Choosing among the candidates that are fit.
private struct SelectionRound {
    let request: SelectionRequest
    let trials: [DeviceTrial]
    private var reasons: [[String]]
    private var chosen: [Int] = []

    init(_ request: SelectionRequest, _ trials: [DeviceTrial]) {
        self.request = request
        self.trials = trials
        reasons = trials.map { $0.objections + $0.merits }
    }

    var selection: DeviceSelection {
        DeviceSelection(
            verdicts: trials.indices.map { place in
                DeviceSelection.Verdict(
                    device: trials[place].candidate.device, name: trials[place].candidate.info.name, isChosen: chosen.contains(place),
                    reasons: reasons[place])
            },
            chosen: chosen.map { trials[$0].candidate.device })
    }

    mutating func pass(_ place: Int, _ reason: String) {
        reasons[place].insert(reason, at: 0)
    }

    /// Takes the best, then whatever is connected best to those taken, until there are enough.
    mutating func choose(from places: [Int]) {
        var left = places.sorted { trials[$0].isBetter(than: trials[$1]) }
        var wanted = left.count
        if case .upTo(let count) = request.count { wanted = min(wanted, max(1, count)) }
        while chosen.count < wanted, !left.isEmpty {
            let distances = left.map { distance($0) }
            let nearest = distances.indices.min { distances[$0] < distances[$1] } ?? 0
            let place = left.remove(at: nearest)
            if let reason = closeness(place) { reasons[place].append(reason) }
            chosen.append(place)
        }
        let names = chosen.map { trials[$0].candidate.device.description }.joined(separator: ", ")
        for place in left {
            pass(place, "\(wanted == 1 ? "one device is" : "\(wanted) devices are") wanted, and \(names) \(wanted == 1 ? "is" : "are") preferred")
        }
    }

    private func connection(_ one: Int, _ other: Int) -> DeviceLink.Connection? {
        let (first, second) = (trials[one].candidate.device, trials[other].candidate.device)
        return request.links.first { ($0.first, $0.second) == (first, second) || ($0.first, $0.second) == (second, first) }?.connection
    }

    /// To the farthest of those chosen: 0 by NVLink, else as many levels up as they meet.
    private func distance(_ place: Int) -> Int {
        chosen.map { other in
            guard let connection = connection(place, other) else { return DeviceLink.Ancestor.system.rawValue + 2 }
            return connection.hasNVLink == true ? 0 : (connection.ancestor?.rawValue ?? DeviceLink.Ancestor.system.rawValue) + 1
        }.max() ?? 0
    }

    private func closeness(_ place: Int) -> String? {
        guard let first = chosen.first, let connection = connection(place, first) else { return nil }
        let device = trials[first].candidate.device
        if connection.hasNVLink == true { return "connected to \(device) by NVLink" }
        switch connection.ancestor {
        case .sameBoard: return "on one board with \(device)"
        case .oneSwitch: return "behind one PCIe switch with \(device)"
        case .severalSwitches: return "a few PCIe switches from \(device)"
        case .hostBridge, .numaNode: return "on one processor with \(device)"
        case .system, nil: return nil
        }
    }
}
