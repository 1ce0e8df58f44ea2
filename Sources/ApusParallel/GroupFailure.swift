package import ApusErrors
package import ApusExecution
package import ApusTensor

/// What failed in a group, and where.
package struct GroupFailure: Error, Sendable {
    /// The failure as the rank's executor told it.
    package let cause: ApusError
    package let device: DeviceID
    package let stage: Int
    package let rank: Int

    init(_ cause: ApusError, device: DeviceID, stage: Int, rank: Int) {
        self.cause = cause
        self.device = device
        self.stage = stage
        self.rank = rank
    }

    /// What is told to whoever wanted the step: the same code, and where it happened. The place is the device when that has ended, so that
    /// whoever is in another process knows it too.
    package var error: ApusError {
        let place = deviceEnd == nil ? cause.place ?? "\(device)" : "\(device)"
        return ApusError(
            cause.code, "stage \(stage), rank \(rank) on \(device): \(cause.message)", place: place, advice: cause.advice, cause: cause.cause)
    }

    /// How the device ended; nil when it goes on.
    package var deviceEnd: DeviceFailure? {
        switch cause.deviceFailure {
        case .sticky, .hung, .crashed, .killed, .lost, .unavailable: cause.deviceFailure
        case .outOfMemory, .engine, nil: cause.code == .deviceGone ? .lost : nil
        }
    }
}
