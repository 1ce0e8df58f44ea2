import ApusDevices
import ApusErrors
import ApusExecution
import Foundation
import Logging
import NIOConcurrencyHelpers

// What a plan asks for outside of the state.
extension Fleet {
    /// How long an executor that was relieved is given to finish what it runs.
    private static let handOverTime = Duration.seconds(30)

    /// Ends an executor whose work others have taken over, once nothing runs on it any more.
    func handOver(_ executor: any Executor) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await executor.drained() }
            group.addTask { try? await Task.sleep(for: Self.handOverTime) }
            await group.next()
            group.cancelAll()
        }
        for model in currentModels { model.unload(from: executor) }
        await executor.shutdown()
    }

    func planned(_ step: PlanStep) {
        let isBetter = [.restored, .scaledUp, .scaledDown].contains(step.kind)
        logger.log(level: isBetter ? .notice : .warning, "plan: \(step.kind.rawValue) (\(step.cause.rawValue)): \(step.text)")
        planMetrics?.took(step)
    }

    /// Shows the plan as it is, when it has changed.
    func tellPlan() {
        guard let planMetrics, let status = state.withLockedValue({ PlanStatus($0) }) else { return }
        planMetrics.stands(status)
    }

    /// Asks the scaling what is to be done, once a second.
    func scale(now: Int) {
        guard state.withLockedValue({ $0.isScalingDue(now: now) }) else { return }
        let queued = currentModels.compactMap(\.queuedSeconds).max() ?? 0
        state.withLockedValue { $0.scale(queuedSeconds: queued, now: now) }
        carryOut()
    }
}

extension Executor {
    /// Returns when all lanes are free, or the task is cancelled.
    ///
    /// Every lane is given something that waits until all of them have it: lanes take work in the order in which it came, so that by then
    /// nothing of before is left.
    fileprivate func drained() async {
        let gate = LaneGate(count: laneCount)
        for _ in 0..<laneCount { submit { gate.arrive() } }
        await withTaskCancellationHandler {
            await gate.allArrived()
        } onCancel: {
            gate.open()
        }
    }
}

/// Lets nobody through before all have arrived.
private final class LaneGate: @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private var missing: Int
    private var waiter: CheckedContinuation<Void, Never>?

    init(count: Int) {
        missing = count
    }

    /// Blocks a lane's thread.
    func arrive() {
        let waiter: CheckedContinuation<Void, Never>? = condition.withLock {
            missing -= 1
            guard missing <= 0 else {
                while missing > 0 { condition.wait() }
                return nil
            }
            condition.broadcast()
            return takeWaiter()
        }
        waiter?.resume()
    }

    /// Lets everybody through.
    func open() {
        let waiter = condition.withLock {
            missing = 0
            condition.broadcast()
            return takeWaiter()
        }
        waiter?.resume()
    }

    func allArrived() async {
        await withCheckedContinuation { continuation in
            let isOpen = condition.withLock {
                if missing > 0 { waiter = continuation }
                return missing <= 0
            }
            if isOpen { continuation.resume() }
        }
    }

    private func takeWaiter() -> CheckedContinuation<Void, Never>? {
        defer { waiter = nil }
        return waiter
    }
}
