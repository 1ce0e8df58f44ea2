package import ApusTensor

/// What clients are told about who served them.
package enum FallbackStage: String, Sendable, CaseIterable {
    /// A device that was meant to.
    case none
    /// A stand-in for a device that is expected back.
    case temporary
    /// A stand-in for a device that nobody expects back by itself.
    case permanent
}

/// How one batch ended on one device, for whoever watches over devices.
package struct BatchReport: Sendable, Equatable {
    package enum Result: Sendable, Equatable {
        case succeeded
        case failed(DeviceFailure, Blame)
    }

    /// Who a failure is put down to.
    package enum Blame: Sendable, Equatable {
        case device
        /// An input that failed in the same way wherever it was tried, or twice alone.
        case input
        /// Not known, or neither.
        case nobody
    }

    package var device: DeviceID
    package var result: Result
    package var sequences: Int
    package var tokens: Int
    package var seconds: Double
    /// Of a group that failed, the device that did; nil where that is not known, and for devices that are no group.
    package var culprit: DeviceID?

    package init(device: DeviceID, result: Result, sequences: Int, tokens: Int, seconds: Double, culprit: DeviceID? = nil) {
        self.culprit = culprit
        self.device = device
        self.result = result
        self.sequences = sequences
        self.tokens = tokens
        self.seconds = seconds
    }
}

/// Watches over devices. Called on lanes: must not block.
package protocol BatchObserver: Sendable {
    /// Every call is followed by one of ``batchEnded(_:)`` with the same device.
    func batchBegan(on device: DeviceID)
    /// Called for a batch that began, and again, as a batch without tokens, when something becomes known about an earlier one.
    func batchEnded(_ report: BatchReport)
}
