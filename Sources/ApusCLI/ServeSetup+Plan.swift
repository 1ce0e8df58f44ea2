import Apus
import ApusCheckpoint
import ApusConfiguration
import ApusDevices
import ApusErrors
import ApusFleet
import ApusPlacement
import ApusScheduling
import ApusTensor

extension ServeSettings {
    /// What is asked of the plan of all models; nil where nobody asks for one, and each device holds whole models.
    ///
    /// Throws for models that ask for different ones: devices compute together for all models, or for none.
    func parallel(for models: [PlannedModel], on devices: [DeviceID]) throws(ApusError) -> Configuration.Parallel? {
        let kind = devices.first { $0.kind.isAccelerator }?.kind ?? .cpu
        var asked: (id: String, parallel: Configuration.Parallel)?
        for model in models {
            let named = configuration.models.first { ($0.id ?? Installation.name(ofDirectory: $0.source)).utf8.elementsEqual(model.id.utf8) }
            let parallel = configuration.parallel(of: named, on: kind)
            if let asked, asked.parallel != parallel {
                throw ApusError(
                    .invalidConfiguration, "\(asked.id) and \(model.id) ask for different plans of the same devices", place: "models.parallel",
                    advice: "Say it once, in the section parallel, or serve them by servers of their own")
            }
            asked = (model.id, parallel)
        }
        return asked.flatMap { $0.parallel == Configuration.Parallel() ? nil : $0.parallel }
    }

    /// Where a plan was asked for.
    fileprivate var parallelOrigin: DeviceWishes.Origin {
        let keys = origins.keys.filter { $0.hasPrefix("parallel.") || $0.hasPrefix("gpu.multi_gpu") || $0.hasPrefix("optimization.") }.sorted()
        for key in keys {
            if case .option(let spelling)? = origins[key] { return .commandLine(spelling) }
        }
        return keys.first.flatMap { key in origins[key].map { .settings("\($0): \(key)") } } ?? .settings("parallel")
    }
}

extension PlannedFleet {
    /// The fleet with the plan that settings and command line ask for; the same where they ask for none.
    func sharing(
        _ models: [ServeSettings.PlannedModel], _ settings: ServeSettings, links: [DeviceLink], _ trials: LayerTrials
    ) async throws(ApusError) -> PlannedFleet {
        guard let asked = try settings.parallel(for: models, on: devices) else { return self }
        var wishes = asked.wishes(
            assignments: [:],
            fallback: fleet.policy.fallback == .fail ? .fail : fleet.policy.fallback == .otherDevices ? .otherDevices : .cpu)
        do throws(ApusError) {
            let scaling = try asked.scaling
            if let scaling, wishes.replicas == nil { wishes.replicas = scaling.range.lowerBound }
            var subjects: [LayerTrials.Model] = []
            for model in models {
                let outline = try NetworkOutline(try Checkpoint(directory: model.directory), name: model.id, cuts: wishes.cuts)
                subjects.append(.init(outline: outline, subject: .directory(model.directory), precision: model.precision, path: model.directory))
            }
            let accelerates = intended.contains { $0.kind.isAccelerator && $0.kind != .sim }
            return try await sharing(
                subjects, wishes, scaling: scaling, links: links, tokens: (accelerates ? DeviceID.Kind.cuda : .cpu).tokenBudget, trials)
        } catch {
            guard [.unsupportedPlan, .invalidValue].contains(error.code) else { throw error }
            throw settings.parallelOrigin.error(error.message, advice: error.advice)
        }
    }
}

extension Configuration.Parallel {
    /// The bounds between which the queue decides on replicas; nil where their number stays. Throws `invalid_value` for bounds that contradict each
    /// other.
    fileprivate var scaling: ReplicaScaling.Limits? {
        get throws(ApusError) {
            guard let maxReplicas else {
                guard minReplicas == nil else {
                    throw ApusError(.invalidValue, "min_replicas is given without max_replicas", advice: "Give both, or replicas for a number that stays")
                }
                return nil
            }
            let least = minReplicas ?? 1
            guard least <= maxReplicas, (least...maxReplicas).contains(replicas ?? least) else {
                throw ApusError(
                    .invalidValue, "\(replicas.map { "\($0) replicas" } ?? "replicas") between \(least) and \(maxReplicas) cannot be had")
            }
            return try ReplicaScaling.Limits(least...maxReplicas)
        }
    }
}
