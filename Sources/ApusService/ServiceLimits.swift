package import ApusErrors

/// How much one request may ask for, whatever transport brought it.
package struct ServiceLimits: Sendable, Equatable {
    /// Inputs in one request.
    package let maxInputs: Int
    /// UTF-8 bytes of one input text.
    package let maxInputBytes: Int

    /// 2,048 inputs of 1 MiB.
    package static let standard = ServiceLimits(unchecked: (2048, 1 << 20))

    private init(unchecked: (maxInputs: Int, maxInputBytes: Int)) {
        maxInputs = unchecked.maxInputs
        maxInputBytes = unchecked.maxInputBytes
    }

    /// - Throws: `.invalidConfiguration` when a limit is below 1.
    package init(maxInputs: Int, maxInputBytes: Int) throws(ApusError) {
        guard maxInputs >= 1 else {
            throw ApusError(.invalidConfiguration, "must be at least 1", place: "limits.max_inputs")
        }
        guard maxInputBytes >= 1 else {
            throw ApusError(.invalidConfiguration, "must be at least 1", place: "limits.max_input_bytes")
        }
        self.init(unchecked: (maxInputs, maxInputBytes))
    }
}
