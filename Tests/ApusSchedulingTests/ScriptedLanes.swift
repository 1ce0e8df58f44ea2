import ApusErrors
import ApusExecution
import ApusScheduling
import ApusTensor
import Foundation
import NIOConcurrencyHelpers

/// An executor with real lanes and no models.
final class ScriptedLanes: Executor {
    let device: DeviceID
    let laneCount: Int
    private let free: DispatchSemaphore

    init(_ device: DeviceID = DeviceID(.cpu, 0), lanes: Int = 1) {
        self.device = device
        laneCount = lanes
        free = DispatchSemaphore(value: lanes)
    }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        throw ApusError(.engineFailure, "there is no engine")
    }

    func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value { try work() }

    func memory() async throws(ApusError) -> DeviceMemory { DeviceMemory() }

    func clearCache() async throws(ApusError) {}

    func shutdown() async {}

    func submit(_ work: @escaping @Sendable () -> Void) {
        let free = free
        let thread = Thread {
            free.wait()
            defer { free.signal() }
            work()
        }
        thread.start()
    }
}

/// A number that costs as many tokens as it says.
struct Number: BatchInput, Hashable {
    var value: Int
    var tokens = 1

    var identity: Number? { self }
}

/// Doubles numbers; stands still and fails as told.
struct Doubling: BatchWork {
    /// Negative numbers make every batch fail that they are in.
    static let poison = -1

    let script = Script()

    final class Script: Sendable {
        let gate = DispatchSemaphore(value: 0)
        let state = NIOLockedValueBox((runs: [[Int]](), isHeld: false, mostPadded: Int.max))

        var runs: [[Int]] { state.withLockedValue { $0.runs } }
        /// The padded tokens above which memory is out.
        func limit(_ padded: Int) { state.withLockedValue { $0.mostPadded = padded } }
        /// From now on each run waits for a ``release()``.
        func hold() { state.withLockedValue { $0.isHeld = true } }
        /// Runs go on, the `count` next ones and for good if it is the last.
        func release(_ count: Int = 1) { for _ in 0..<count { gate.signal() } }
        func releaseAll() {
            state.withLockedValue { $0.isHeld = false }
            release(64)
        }
    }

    func run(_ inputs: [Number]) throws(ApusError) -> [Int] {
        let (isHeld, most) = script.state.withLockedValue { state in
            state.runs.append(inputs.map(\.value))
            return (state.isHeld, state.mostPadded)
        }
        if isHeld { script.gate.wait() }
        if inputs.contains(where: { $0.value < 0 }) { throw ApusError(.engineFailure, "scripted") }
        if inputs.count * (inputs.map(\.tokens).max() ?? 0) > most { throw ApusError(.outOfMemory, "scripted") }
        return inputs.map { $0.value * 2 }
    }
}
