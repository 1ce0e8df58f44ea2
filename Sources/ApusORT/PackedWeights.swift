package import ApusErrors
import COnnxRuntime

/// Weights in the layout that the engine's matrix kernels want, shared by every session that is made with it.
package final class PackedWeights: @unchecked Sendable {
    // The engine locks the container itself; this class only holds the handle.
    let handle: OpaquePointer
    private let engine: Engine

    package init(_ engine: Engine) throws(ApusError) {
        var handle: OpaquePointer?
        try engine.check(OrtCreatePrepackedWeightsContainer(engine.api, &handle))
        guard let handle else { throw ApusError(.engineFailure, "ONNX Runtime returned no container for packed weights") }
        self.handle = handle
        self.engine = engine
    }

    deinit {
        OrtReleasePrepackedWeightsContainer(engine.api, handle)
    }
}
