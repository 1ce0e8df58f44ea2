import ApusExecution
import ApusTensor

/// How the steps of a model are spread over sessions and threads.
package enum SessionRouting: Sendable {
    /// One session for all lanes, on whose threads its runs may overlap.
    case anywhere
    /// One session, one thread.
    case oneThread
    /// A session and a thread for each lane.
    case lanes

    init(_ device: DeviceID.Kind) {
        self = device.computesOnCPU ? .anywhere : device == .cuda ? .lanes : .oneThread
    }

    /// Sessions of one model.
    func sessions(_ settings: ExecutorSettings) -> Int {
        self == .lanes ? settings.lanes : 1
    }
}
