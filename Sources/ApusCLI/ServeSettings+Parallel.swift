import Apus
import ApusConfiguration
import ApusPlacement
import ApusTensor

extension ServeSettings {
    /// What the configuration asks of the plan of a model.
    ///
    /// - Parameters:
    ///   - id: as requests call the model.
    ///   - devices: those to plan for.
    func parallelWishes(of id: String, on devices: [DeviceID]) -> ParallelWishes {
        let model = configuration.models.first { model in
            (model.id ?? Installation.name(ofDirectory: model.source)).utf8.elementsEqual(id.utf8)
        }
        let accelerator = devices.first { $0.kind.isAccelerator }?.kind
        let fallback: ParallelWishes.Fallback =
            switch configuration.devices.fallback {
            case .cpu: .cpu
            case .otherDevices: .otherDevices
            case .fail: .fail
            case nil: configuration.accelerators.isFallbackEnabled ? .cpu : .fail
            }
        return configuration.parallel(of: model, on: accelerator ?? .cpu).wishes(
            assignments: assignments(accelerator ?? (devices.count > 1 ? .cpu : nil), devices), fallback: fallback)
    }

    /// The numbers of `model_assignments` as devices; those of devices that are not there are left out, as a server does where another may stand in.
    private func assignments(_ kind: DeviceID.Kind?, _ devices: [DeviceID]) -> [String: DeviceID] {
        guard let kind else { return [:] }
        return configuration.modelAssignments.mapValues { DeviceID(kind, $0) }.filter { devices.contains($0.value) }
    }
}
