/// One change of what serves, for logs, metrics and status.
package struct PlanStep: Sendable, Equatable {
    /// Few enough for a metric's label.
    package enum Kind: String, Sendable, CaseIterable {
        /// A group of devices ended; its devices are looked at one by one.
        case dissolved
        /// A replica of the same shape on other devices.
        case reallocated
        /// A replica on fewer devices.
        case reduced
        /// A replica on one device.
        case oneDevice = "one_device"
        /// A replica less.
        case shrunk
        /// All on the CPU.
        case cpu
        /// Nothing is left that may serve.
        case nobody
        /// Back to the plan that was asked for, or nearer to it.
        case restored
        /// A replica more, because the queue was long.
        case scaledUp = "scaled_up"
        /// A replica less, because the queue was short.
        case scaledDown = "scaled_down"
    }

    /// Few enough for a metric's label.
    package enum Cause: String, Sendable, CaseIterable {
        /// The process of a worker ended: by somebody outside, by a crash, by its poisoned device, because it gave no answer.
        case killed, crashed, sticky, hung
        case deviceLost = "device_lost"
        /// Batches failed, or a known answer was wrong or did not come.
        case failures
        /// A worker could not be started or could not load.
        case start
        /// The driver or a sensor said so.
        case sensors
        /// Nobody is to blame, again and again.
        case unknown
        /// A device is there again.
        case returned
        case queue
    }

    package let kind: Kind
    package let cause: Cause
    /// One sentence.
    package let text: String
    /// Nanoseconds on the fleet's clock.
    package let time: Int

    package init(_ kind: Kind, _ cause: Cause, _ text: String, at time: Int) {
        self.kind = kind
        self.cause = cause
        self.text = text
        self.time = time
    }
}
