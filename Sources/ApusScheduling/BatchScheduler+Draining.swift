package import ApusErrors
import NIOConcurrencyHelpers

extension BatchScheduler {
    /// Takes no request any more and returns when all that were accepted are answered. What still waits after `patience` is refused, too. Devices
    /// that open afterwards get no work.
    ///
    /// Carried through, also when the caller gives up waiting.
    package func drain(refusing error: ApusError, patience: Duration = .seconds(30)) async {
        state.withLockedValue { $0.retire(with: error) }
        await Task.detached { await self.empty(refusing: error, patience: patience) }.value
    }

    private func empty(refusing error: ApusError, patience: Duration) async {
        // Looked for, and not told by whoever answers: unloading is rare, and nothing on the way of a batch should pay for it.
        let end = ContinuousClock.now + patience
        while ContinuousClock.now < end, !state.withLockedValue({ $0.isIdle }) { try? await Task.sleep(for: .milliseconds(5)) }
        refuse(with: error)
        // What runs on a device ends when the device does.
        while !state.withLockedValue({ $0.endIfIdle() }) { try? await Task.sleep(for: .milliseconds(5)) }
    }
}

extension SchedulerState {
    /// Registers a request of `count` rows, of which `missing` are to be computed. Throws why none is taken any more.
    mutating func begin(_ count: Int, missing: Int, isPartial: Bool) throws(ApusError) -> Int {
        if let retirement { throw retirement }
        nextID += 1
        requests[nextID] = BatchRequest(count: count, missing: missing, isPartial: isPartial)
        return nextID
    }

    /// No request is taken from now on.
    mutating func retire(with error: ApusError) {
        retirement = error
    }

    /// Whether nothing waits or runs.
    var isIdle: Bool { requests.isEmpty && pending.isEmpty }

    /// Opens no device any more, if nothing waits or runs.
    mutating func endIfIdle() -> Bool {
        guard isIdle else { return false }
        isEnded = true
        return true
    }
}
