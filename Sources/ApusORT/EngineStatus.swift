package import ApusErrors

/// A failure as the engine reports it. The one place where its texts are read: it has no code of its own for exhausted memory.
package struct EngineStatus {
    /// `OrtErrorCode`.
    package let code: Int32
    package let message: String

    package init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    package var error: ApusError {
        if isOutOfMemory {
            return ApusError(
                .outOfMemory, message,
                advice: "Lower the batch token budget, or give the device more memory")
        }
        switch code {
        case Self.invalidProtobuf, Self.invalidGraph, Self.noSuchFile:
            return ApusError(.invalidCheckpoint, message)
        default:
            return ApusError(.engineFailure, message)
        }
    }

    private static let noSuchFile: Int32 = 3
    private static let invalidProtobuf: Int32 = 7
    private static let invalidGraph: Int32 = 10

    /// Arena over its limit, arena could not grow, plain allocation failed; then CUDA's own, and those of its libraries.
    private static let outOfMemoryTexts = [
        "is smaller than requested bytes of", "Failed to allocate memory for requested buffer", "std::bad_alloc",
        "CUDA failure 2:", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS failure 3:",
    ]

    private var isOutOfMemory: Bool {
        Self.outOfMemoryTexts.contains { message.contains($0) }
    }
}
