import ApusExecution
import ApusTensor
import NIOConcurrencyHelpers

/// How one model is cut on each device where it is loaded, or was last.
final class SegmentChoices: Sendable {
    private let choices = NIOLockedValueBox<[DeviceID: SegmentChoice]>([:])

    subscript(device: DeviceID) -> SegmentChoice? { choices.withLockedValue { $0[device] } }

    func put(_ choice: SegmentChoice, on device: DeviceID) { choices.withLockedValue { $0[device] = choice } }

    func forget(_ device: DeviceID) { choices.withLockedValue { $0[device] = nil } }

    /// What ceilings of batches are remembered by: those of whole networks say nothing about segments.
    func label(_ form: ServedForm, on device: DeviceID) -> String {
        form.label + (self[device]?.segmentation?.label ?? "")
    }
}
