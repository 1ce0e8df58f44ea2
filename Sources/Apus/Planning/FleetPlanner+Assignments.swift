import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor

extension FleetPlanner {
    /// Which model runs on which device only. The numbers are those of accelerators, and of logical CPU devices where a list names several
    /// of these and nothing else. A GPU that a model is assigned to is used for it, even when `auto` did not take it.
    ///
    /// Throws for a number that is not among the devices that settings or command line restrict the server to, and for one that is not on
    /// this machine where nothing may stand in.
    mutating func assignments(_ members: inout [FleetPlan.Member]) throws(ApusError) -> [String: DeviceID] {
        let wishes = wishes.assignments
        guard !wishes.numbers.isEmpty else { return [:] }
        let served = wishes.numbers.filter { name, _ in models.contains { $0.model.utf8.elementsEqual(name.utf8) } }
        let strangers = wishes.numbers.keys.filter { served[$0] == nil }.sorted()
        if !strangers.isEmpty {
            notes.append(
                .init(.info, "\(wishes.origin.prefix)no model is served as \(strangers.joined(separator: ", ")): has no effect for \(strangers.count == 1 ? "it" : "them")"))
        }
        guard let kind = numberedKind(members), !served.isEmpty else {
            if !served.isEmpty {
                notes.append(.init(.info, "\(wishes.origin.prefix)no accelerator and no second device is used: has no effect"))
            }
            return [:]
        }
        var result: [String: DeviceID] = [:]
        for (name, number) in served.sorted(by: { $0.key < $1.key }) {
            let device = DeviceID(kind, number)
            var isUsed = members.contains { $0.settings.device == device }
            if !isUsed { isUsed = try add(device, for: name, to: &members) }
            if isUsed { result[name] = device }
        }
        return result
    }

    private func numberedKind(_ members: [FleetPlan.Member]) -> DeviceID.Kind? {
        if let accelerator = members.first(where: { $0.settings.device.kind.isAccelerator }) { return accelerator.settings.device.kind }
        return members.count > 1 ? .cpu : nil
    }

    /// Takes a device into use for a model; false when it is done without, which is noted.
    private mutating func add(_ device: DeviceID, for model: String, to members: inout [FleetPlan.Member]) throws(ApusError) -> Bool {
        let used = members.map(\.settings.device.description).joined(separator: ", ")
        let origin = wishes.assignments.origin
        let isRestricted = wishes.list.devices != .automatic
            || (!wishes.choice.cudaDevices.isEmpty && !wishes.choice.cudaDevices.contains(device.index))
        guard !isRestricted else {
            throw origin.error("\(model) is assigned to \(device), which is not among the devices to be used: \(used)")
        }
        if let info = inventory.accelerators.first(where: { $0.device == device }), unfitness(of: info) == nil {
            decisions.removeAll { $0.device == device }
            decisions.append(.init(device, .chosen, "\(model) is assigned to it"))
            members.append(member(resolved(info), role: .intended))
            return true
        }
        let message = "\(model) is assigned to \(device), which cannot be used; available: \(inventory.summary)"
        guard wishes.recovery.fallback != .fail else { throw origin.error(message) }
        notes.append(.init(.warning, "\(origin.prefix)\(message); it runs on all devices"))
        return false
    }
}
