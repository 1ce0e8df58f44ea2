package import ApusDevices
package import ApusExecution
package import ApusTensor
import Foundation

/// The failures that one device is to have, over all its workers: counts its runs and says which of them fail.
package final class ChaosSchedule: FaultInjector, @unchecked Sendable {
    // `plan` is guarded by `lock`, which ThreadSanitizer understands.
    private let lock = NSLock()
    private var plan: ChaosPlan
    private let now: @Sendable () -> Int
    /// All that the device is to have.
    package let faults: Set<StepFault>

    /// Takes what `script` has for `device`. `now` tells nanoseconds on a monotonic clock.
    package init(_ script: ChaosScript, device: DeviceID, now: @escaping @Sendable () -> Int) {
        let entries = script.entries.filter { $0.device == device }
        faults = Set(entries.map(\.fault))
        plan = ChaosPlan(entries)
        self.now = now
    }

    /// Whether the device was lost.
    package var isLost: Bool { lock.withLock { plan.isLost } }

    /// The device was admitted. Times in the script count from the first call, or from the first run when there was none before it.
    package func beganServing() {
        let now = now()
        lock.withLock { plan.beganServing(now) }
    }

    package func faultForNextStep() -> StepFault? {
        let now = now()
        return lock.withLock { plan.next(now) }
    }

    /// The device's sample as its failures make it: a lost device does not answer (and reports Xid 79 once), a throttled one is hot.
    package func overlay(_ sample: DeviceSample) -> DeviceSample {
        lock.withLock { plan.overlay(sample) }
    }
}
