import ApusErrors

/// A failure as the engine reports it. The one place where its texts are read: it has no code of its own for exhausted memory.
struct EngineStatus {
    /// `OrtErrorCode`.
    let code: Int32
    let message: String

    var error: ApusError {
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

    private var isOutOfMemory: Bool {
        // Arena over its limit, arena could not grow, plain allocation failed.
        ["is smaller than requested bytes of", "Failed to allocate memory for requested buffer", "std::bad_alloc"]
            .contains { message.contains($0) }
    }
}
