package import ApusErrors
package import ApusExecution
package import ApusTensor

/// The results of one request and how each was made.
package struct BatchAnswers<Output: Sendable>: Sendable {
    /// How one result was computed.
    package struct Run: Sendable {
        package var device = DeviceID(.cpu, 0)
        package var precision = Precision.fp32
        /// Whether the device stood in for another.
        package var fallback = FallbackStage.none
        /// Inputs in its batch.
        package var batchSize = 0
        /// Padding of its row, in tokens.
        package var padding = 0
        package var queueNanoseconds = 0
        package var runNanoseconds = 0
        /// Whether an equal input of another request was computed and its result shared.
        package var isShared = false
        /// All devices that computed it together, stage by stage; empty for one.
        package var group: [DeviceID] = []

        /// Those that computed it.
        package var devices: [DeviceID] { group.isEmpty ? [device] : group }
    }

    /// One for each input, in their order. Failures only where the request asked for partial results.
    package var rows: [Result<Output, ApusError>]
    package var runs: [Run]

    init(count: Int) {
        rows = Array(repeating: .failure(ApusError(.cancelled, "the input did not run")), count: count)
        runs = [Run](repeating: Run(), count: count)
    }
}

extension BatchAnswers.Run {
    /// Of a result that was computed before: no batch, and nothing waited for.
    ///
    /// - Parameter group: all devices that computed it together, stage by stage; empty for one.
    package init(device: DeviceID, group: [DeviceID] = [], precision: Precision) {
        (self.device, self.group, self.precision) = (device, group, precision)
    }
}
