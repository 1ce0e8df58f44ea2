package import ApusCheckpoint
import ApusDevices
import ApusEmbeddings
package import ApusErrors
package import ApusExecution
package import ApusFleet
import ApusGraph
import ApusTensor
import ApusTokenizers
import Foundation

/// Measures the forms that a model may have on a device, its cosine to the plain fp32 graph and its speed, in executors of their own, and
/// chooses. What was measured once is remembered.
package struct PrecisionTrials: Sendable {
    private let store: PrecisionStore
    private let source: any ExecutorSource
    private let engineLibrary: String
    private let features: CPUFeatures
    private let optimization: LoadRequest.Optimization

    /// How long each lane runs each batch in a turn.
    private static let time = Duration.milliseconds(150)

    package init(
        store: PrecisionStore, source: any ExecutorSource, engineLibrary: String, features: CPUFeatures = .current,
        optimization: LoadRequest.Optimization = .all
    ) {
        self.store = store
        self.source = source
        self.engineLibrary = engineLibrary
        self.features = features
        self.optimization = optimization
    }

    package init(
        installation: Installation, engineLibrary: String, execution: Execution, optimization: LoadRequest.Optimization = .all
    ) {
        self.init(
            store: PrecisionStore(directory: installation.cacheDirectory("precisions")), source: execution.source(engineLibrary: engineLibrary),
            engineLibrary: engineLibrary, optimization: optimization)
    }

    /// What `subject` runs as on `member`. Measures what is not known.
    ///
    /// Throws `unsupported_precision` for what the device or the file does not have and for what does not reach its floor, the errors of
    /// reading the model, and the failures of a device that could not be tried at all.
    package func choice(
        for subject: PrecisionSubject, on member: FleetPlan.Member, _ request: PrecisionRequest
    ) async throws(ApusError) -> PrecisionChoice {
        let device = PrecisionDevice(member, features: features)
        let precision = try subject.precision(request.precision(on: device.id.kind))
        let forms = try device.forms(precision, floor: request.floor)
        if precision == .fp32, forms.count == 1, let only = forms.first {
            return PrecisionChoice(unmeasured: only, floor: request.floor(of: .fp32), reason: "there is one way to compute in fp32 here")
        }
        let key = key(member, subject)
        let known = store.candidates(key)
        var candidates = forms.compactMap { known[$0] }
        if candidates.count < forms.count {
            candidates = try await measure(forms, subject, member, key)
        }
        if let recorded = subject.recordedCosine { candidates = candidates.map { $0.bounded(by: recorded) } }
        return try PrecisionChoice(candidates, asked: precision, request, on: device.id, model: subject.checkpoint.name)
    }

    /// The lowest cosine of `copy`, a quantised checkpoint of `subject`'s model, to that model's plain fp32 graph, over the built-in sample.
    /// Throws what loading and running throw.
    package func cosine(
        of copy: Checkpoint, to subject: PrecisionSubject, _ form: NetworkForm, on member: FleetPlan.Member
    ) async throws(ApusError) -> Double {
        let trial = try await trial(subject, member)
        return try await source.withExecutor(member.settings) { executor throws(ApusError) in
            try await trial.cosine(of: copy, form, on: executor, optimization)
        }
    }

    private func trial(_ subject: PrecisionSubject, _ member: FleetPlan.Member) async throws(ApusError) -> PrecisionTrial {
        try await PrecisionTrial(subject, onCPU: PrecisionDevice(member, features: features).computesOnCPU) { body throws(ApusError) in
            let settings = ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: engineLibrary)
            return try await source.withExecutor(settings) { executor throws(ApusError) in try await body(executor) }
        }
    }

    private func key(_ member: FleetPlan.Member, _ subject: PrecisionSubject) -> PrecisionStore.Key {
        let settings = member.settings
        let helpers = settings.helpers > 0 ? "+\(settings.helpers)" : ""
        let engine = URL(fileURLWithPath: engineLibrary).resolvingSymlinksInPath().lastPathComponent
        return PrecisionStore.Key(
            weights: subject.weights, files: subject.files,
            device: "\(settings.device.kind.rawValue) \(member.info.name) x\(settings.lanes)\(helpers)\(settings.tensorRT == nil ? "" : " tensorrt")",
            driver: member.info.driverVersion ?? "", engine: "\(engine) \(optimization.rawValue)",
            features: features.names.joined(separator: ","))
    }

    private func measure(
        _ forms: [NetworkForm], _ subject: PrecisionSubject, _ member: FleetPlan.Member, _ key: PrecisionStore.Key
    ) async throws(ApusError) -> [PrecisionChoice.Candidate] {
        let trial = try await trial(subject, member)
        var turns = PrecisionTurns(forms)
        while let form = turns.next() {
            do throws(ApusError) {
                let figures = try await source.withExecutor(member.settings) { executor throws(ApusError) in
                    try await trial.run(form, on: executor, optimization, time: Self.time)
                }
                turns.measured(form, figures)
            } catch {
                if error.code == .cancelled { throw error }
                let mayPass = [.outOfMemory, .killed, .unavailable].contains(error.deviceFailure)
                turns.failed(form, error.message, mayPass: mayPass)
            }
        }
        if turns.areLasting { store.store(turns.candidates, key) }
        return turns.candidates
    }
}
