/// A failure that is asked of a device on purpose (`--chaos`). Spelled as in the chaos script.
package enum StepFault: String, Sendable, CaseIterable {
    /// The step ends with `out_of_memory`.
    case oom
    /// The device is poisoned: the process that holds it ends itself.
    case sticky
    /// The step never ends.
    case hang
    /// The process dies by a signal of its own making.
    case crash
    /// The device is gone: the step ends with `device_lost`.
    case lost
    /// The step takes twice its time, and the device reports a thermal slowdown.
    case throttle
    /// The step takes five times its time.
    case slow
}

/// Says which of the steps that are about to run are to fail. Asked once for every step on a lane, never for known answers.
package protocol FaultInjector: Sendable {
    func faultForNextStep() -> StepFault?
}
