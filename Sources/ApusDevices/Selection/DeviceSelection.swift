package import ApusErrors
package import ApusTensor

/// Which devices a model goes on, and why, for `apus gpu explain`.
package struct DeviceSelection: Sendable, Equatable {
    package struct Verdict: Sendable, Equatable {
        package var device: DeviceID
        package var name: String
        package var isChosen: Bool
        /// What speaks for and against the device, with figures; never empty.
        package var reasons: [String]

        package init(device: DeviceID, name: String, isChosen: Bool, reasons: [String]) {
            self.device = device
            self.name = name
            self.isChosen = isChosen
            self.reasons = reasons
        }
    }

    /// One for each candidate, in the candidates' order.
    package var verdicts: [Verdict]
    /// The best first; empty when no candidate may serve.
    package var chosen: [DeviceID]

    /// ``chosen``. Throws `no_device`, with every device's reasons, when it is empty.
    package func chosenOrThrow() throws(ApusError) -> [DeviceID] {
        guard chosen.isEmpty else { return chosen }
        let reasons = verdicts.map { "\($0.device): \($0.reasons.joined(separator: ", "))" }
        let why = reasons.isEmpty ? "there are none" : reasons.joined(separator: "; ")
        throw ApusError(.noDevice, "no device can be used: \(why)")
    }
}
