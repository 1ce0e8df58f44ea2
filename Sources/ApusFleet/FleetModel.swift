package import ApusErrors
package import ApusExecution
package import ApusTensor

/// A model as the fleet sees it: something that can be put on a device, prove itself there, and take work.
package protocol FleetModel: AnyObject, Sendable {
    var name: String { get }
    /// The intended device that the model has for itself to run on; nil for all. Stand-ins may have it too.
    var assignedDevice: DeviceID? { get }

    /// Loads the model onto `executor`; nothing runs there yet. Throws the model's own errors and the device's failures.
    func load(onto executor: any Executor) async throws(ApusError)
    /// Runs the known answer where ``load(onto:)`` loaded it: the lowest cosine to what it should be. Throws `wrong_answer` below the
    /// model's floor, and the device's failures.
    func prove(on executor: any Executor) async throws(ApusError) -> Double
    /// Forgets what is loaded on `executor`.
    func unload(from executor: any Executor)

    /// `executor`'s lanes take work from now on. `share` is of a batch's token budget, above 0 to 1.
    func open(on executor: any Executor, share: Double, fallback: FallbackStage)
    func isOpen(on device: DeviceID) -> Bool
    func close(_ device: DeviceID)
    func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage)

    /// Sets the share of the queue that is open, 0 to 1: the speed of the devices that serve it over the speed of those that are meant to.
    func setCapacity(_ capacity: Double)
    /// Ends what waits and refuses what comes until a device opens.
    func refuse(with error: ApusError)
    /// Answers those whose deadline passed while nothing ran.
    func expireWaiting()
    /// Seconds until what comes now would start; nil before the first batch, and while nothing serves.
    var queuedSeconds: Double? { get }

    /// Takes no new work and returns when what was accepted is answered. Nothing is loaded afterwards.
    func retire() async
}

extension FleetModel {
    package func retire() async {}
    package var queuedSeconds: Double? { nil }
    package var assignedDevice: DeviceID? { nil }
}
