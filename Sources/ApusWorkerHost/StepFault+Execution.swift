import ApusErrors
import ApusExecution
import ApusWorkers
import CApusProcess
import Foundation

extension StepFault {
    /// Runs `step` with this fault. Some never return.
    func carryOut<Value>(_ step: () throws(ApusError) -> Value) throws(ApusError) -> Value {
        switch self {
        case .crash:
            apus_process_crash()
        case .hang:
            while true { pause() }
        case .sticky:
            throw ApusError(.devicePoisoned, "the device was poisoned on purpose (--chaos)")
        case .oom:
            throw ApusError(.outOfMemory, "the device ran out of memory on purpose (--chaos)")
        case .lost:
            throw ApusError(.deviceLost, "the device was lost on purpose (--chaos)")
        case .throttle:
            return try Self.stretched(2, step)
        case .slow:
            return try Self.stretched(5, step)
        }
    }

    /// A step that takes `factor` times its time.
    private static func stretched<Value>(_ factor: Int64, _ step: () throws(ApusError) -> Value) throws(ApusError) -> Value {
        let start = AwakeClock.monotonic
        let result = try step()
        let extra = (AwakeClock.monotonic - start) * (factor - 1)
        Thread.sleep(forTimeInterval: Double(extra) / 1e9)
        return result
    }
}
