package import ApusDevices
package import ApusErrors
import ApusExecution
import ApusFleet
package import ApusTensor

/// Makes a plan of what was asked for and what there is. Pure: nothing is started, and whatever is wrong is an error before anything is.
package struct FleetPlanner: Sendable {
    let wishes: DeviceWishes
    let inventory: Inventory
    let engineLibrary: String
    let models: [Need]
    /// Texts a second of a model on the devices where it was measured.
    package var scores: [DeviceID: Double]
    let links: [DeviceLink]

    var notes: [PlannedFleet.Note] = []
    var decisions: [PlannedFleet.Decision] = []

    /// A model that is to be served.
    package struct Need: Sendable, Equatable {
        package var model: String
        /// Memory that it takes on a device, as far as it is known.
        package var bytes: Int

        package init(_ model: String, bytes: Int = 0) {
            self.model = model
            self.bytes = bytes
        }
    }

    package init(
        _ wishes: DeviceWishes, _ inventory: Inventory, engineLibrary: String, models: [Need] = [], scores: [DeviceID: Double] = [:],
        links: [DeviceLink] = []
    ) {
        self.wishes = wishes
        self.inventory = inventory
        self.engineLibrary = engineLibrary
        self.models = models
        self.scores = scores
        self.links = links
    }

    /// Throws `invalid_value` for what the command line asks for and `invalid_configuration` for what settings ask for when it cannot be
    /// had: devices that do not exist, providers that the engine lacks, models assigned to devices that are not used. The message says what is
    /// there.
    package func plan() throws(ApusError) -> PlannedFleet {
        var planner = self
        return try planner.makePlan()
    }

    /// Whether a measurement on the members of `planned` could change it: accelerators that nobody named have to be faster than the CPU, those
    /// that were named only where a threshold is set.
    package func wantsScores(for planned: PlannedFleet) -> Bool {
        let isAsked = wishes.list.devices == .automatic || wishes.choice.performanceThreshold != nil
        return isAsked && wishes.recovery.fallback == .cpu && planned.intended.contains { $0.kind.isAccelerator }
    }

    private mutating func makePlan() throws(ApusError) -> PlannedFleet {
        var members = try wishes.list.devices == .automatic ? chosenMembers() : namedMembers()
        let assignments = try assignments(&members)
        for spare in spares(besides: members) {
            decisions.append(.init(spare.id, .standIn, "loaded as a spare"))
            members.append(member(spare, role: .spare))
        }
        if let standby = standby(for: members) { members.append(standby) }
        noteSpecialities(members)
        passOverTheRest()
        return PlannedFleet(
            fleet: try FleetPlan(members, policy: wishes.recovery), assignments: assignments, notes: notes, decisions: decisions)
    }

    // MARK: - Devices that were named

    private mutating func namedMembers() throws(ApusError) -> [FleetPlan.Member] {
        let origin = wishes.list.origin
        let resolution: DeviceList.Resolution
        do throws(ApusError) {
            resolution = try wishes.list.devices.resolve(in: inventory, origin: resolutionOrigin)
        } catch {
            throw origin.error(error)
        }
        for warning in resolution.warnings { notes.append(.init(.warning, warning)) }
        var members: [FleetPlan.Member] = []
        for device in resolution.devices {
            if let unfitness = unfitness(of: device.info) {
                guard isLeftOut(device.info) else {
                    throw origin.error("\(device.id) cannot be used: \(unfitness)", advice: "Available: \(inventory.summary)")
                }
                decisions.append(.init(device.id, .passedOver, unfitness))
                notes.append(.init(.warning, "\(origin.prefix)\(device.id) cannot be used: \(unfitness)"))
            } else {
                let reason = names(device.id.kind) ? "named in the list of devices" : "stands in for the devices that were named"
                let speed = speed(of: device.id).map { "; \(Self.rounded($0)) times the CPU's measured speed" } ?? ""
                decisions.append(.init(device.id, .chosen, reason + speed))
                members.append(member(device, role: .intended))
            }
        }
        guard members.isEmpty else { return members }
        return [wholeCPU("stands in for the devices that were named", role: .intended)]
    }

    private func names(_ kind: DeviceID.Kind) -> Bool {
        guard case .named(let selectors) = wishes.list.devices else { return false }
        return selectors.contains { $0.kind == kind }
    }

    /// Slow devices are left out wherever they were named: that is what the threshold is for.
    private func isLeftOut(_ info: GPUInfo) -> Bool {
        if case .file(_, .isLeftOut) = resolutionOrigin { return true }
        return health(info).outcome != .fallBack && wishes.recovery.fallback == .cpu
    }

    /// Devices named in settings are left out with a warning where something may stand in for them.
    private var resolutionOrigin: DeviceList.Origin {
        guard case .settings(let place) = wishes.list.origin else { return .commandLine }
        return .file(key: place, wishes.recovery.fallback == .cpu ? .isLeftOut : .isRefused)
    }

    /// Why a named device cannot be used; nil for one that can.
    func unfitness(of info: GPUInfo) -> String? {
        let health = health(info)
        guard health.outcome != .fallBack else { return health.findings.map(\.text).joined(separator: ", ") }
        guard let threshold = wishes.choice.performanceThreshold, let speed = speed(of: info.device), speed < threshold else { return nil }
        return "it has \(Self.rounded(speed)) times the CPU's measured speed, and \(threshold) times is asked for"
    }

    /// Times the CPU's speed; nil for the CPU, and where it was not measured.
    private func speed(of device: DeviceID) -> Double? {
        guard device.kind.isAccelerator, let score = scores[device], let cpu = scores[DeviceID(.cpu, 0)], cpu > 0 else { return nil }
        return score / cpu
    }

    private static func rounded(_ value: Double) -> Double { (100 * value).rounded() / 100 }

    func health(_ info: GPUInfo) -> HealthVerdict {
        var judge = HealthJudge()
        return info.sample.map { judge.verdict($0, now: 0) } ?? HealthVerdict()
    }

    // MARK: - Stand-ins

    private func spares(besides members: [FleetPlan.Member]) -> [ResolvedDevice] {
        let kinds = Set(members.map(\.settings.device.kind))
        guard wishes.recovery.fallback == .otherDevices else { return [] }
        return inventory.accelerators
            .filter { info in
                kinds.contains(info.device.kind) && unfitness(of: info) == nil && !members.contains { $0.settings.device == info.device }
            }
            .map { resolved($0) }
    }

    private mutating func standby(for members: [FleetPlan.Member]) -> FleetPlan.Member? {
        guard wishes.recovery.fallback == .cpu, members.contains(where: { $0.settings.device.kind.isAccelerator }),
            !members.contains(where: { $0.settings.device.kind == .cpu })
        else { return nil }
        return wholeCPU("stands in when no accelerator serves", role: .standby)
    }

    private mutating func passOverTheRest() {
        let told = Set(decisions.map(\.device))
        for gpu in inventory.gpus where !told.contains(gpu.device) {
            decisions.append(.init(gpu.device, .passedOver, inventory.absence(of: .cuda) ?? "not asked for"))
        }
        if !told.contains(where: { $0.kind == .cpu }) {
            decisions.append(.init(DeviceID(.cpu, 0), .passedOver, "other devices were asked for, and it may not stand in"))
        }
        decisions.sort { $0.device < $1.device }
    }
}
