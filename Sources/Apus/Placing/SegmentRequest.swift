import ApusCheckpoint
package import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor

/// What is done about weights for which a device has no memory.
public enum Offload: String, Sendable, CaseIterable {
    /// The model is refused.
    case never
    /// They are read from the checkpoint in every step, one segment after the other, where they do not fit otherwise.
    case auto
    /// They are always read so.
    case always
}

/// How a model is to be cut into segments that a device runs one after the other.
package struct SegmentRequest: Sendable, Hashable {
    /// Segments; nil for as few as fit.
    package let segments: Int?
    package let offload: Offload
    /// On accelerators, where it is another than ``offload``.
    package let acceleratorOffload: Offload?

    /// Whole where that fits.
    package static let automatic = SegmentRequest(known: nil, .auto, nil)

    /// - Throws: `invalid_value` for less than one segment.
    package init(segments: Int? = nil, offload: Offload = .auto, onAccelerators acceleratorOffload: Offload? = nil) throws(ApusError) {
        if let segments, segments < 1 {
            throw ApusError(.invalidValue, "a model has 1 segment or more, not \(segments)", place: "segments")
        }
        self.init(known: segments, offload, acceleratorOffload)
    }

    private init(known segments: Int?, _ offload: Offload, _ acceleratorOffload: Offload?) {
        self.segments = segments
        self.offload = offload
        self.acceleratorOffload = acceleratorOffload
    }

    func offload(on device: DeviceID) -> Offload {
        device.kind.isAccelerator ? acceleratorOffload ?? offload : offload
    }

    /// Refuses what the network of a checkpoint cannot be cut into, before anything is loaded.
    ///
    /// - Throws: `unsupported_plan` for more segments than layers, and for a network that came as a file where segments or `always` are asked for.
    func check(_ checkpoint: Checkpoint) throws(ApusError) {
        guard (segments ?? 1) > 1 || offload == .always else { return }
        _ = try EncoderSegments(checkpoint, .fusedFP32, count: segments ?? 1)
    }
}
