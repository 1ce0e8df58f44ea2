package import ApusExecution
import NIOConcurrencyHelpers

/// The lanes of one device, shared by the models that are loaded there.
///
/// No more batches are given to the device than it has lanes. While more than one model wants them, each gets lane time in proportion to its
/// weight (start-time fair queueing over measured seconds: a model's virtual time advances by seconds / weight, the one furthest behind is
/// next, and one that comes back starts where the others are). A model that is alone gets everything and waits for nothing.
package final class DeviceLanes: Sendable {
    /// - Parameter waited: whether the device was busy with others since the batch was formed, so that a better one may be possible now.
    package typealias Batch = @Sendable (_ waited: Bool) -> Void

    private let executor: any Executor
    private let clock = MonotonicClock()
    private let state: NIOLockedValueBox<State>

    private struct Tenant {
        var weight = 1.0
        /// Weighted nanoseconds of lane time.
        var served = 0.0
        var batches: [(waited: Bool, batch: Batch)] = []
        var running = 0

        var isActive: Bool { running > 0 || !batches.isEmpty }
    }

    private struct State {
        var free: Int
        var tenants: [String: Tenant] = [:]

        /// The next batch of whoever is furthest behind, and whose it is. Without one the lane is free.
        mutating func next() -> (tenant: String, waited: Bool, batch: Batch)? {
            let waiting = tenants.filter { !$0.value.batches.isEmpty }
            guard let name = waiting.min(by: { ($0.value.served, $0.key) < ($1.value.served, $1.key) })?.key,
                let next = tenants[name]?.batches.removeFirst()
            else {
                free += 1
                return nil
            }
            tenants[name]?.running += 1
            return (name, next.waited, next.batch)
        }

        mutating func finished(_ name: String, nanoseconds: Int) {
            guard var tenant = tenants[name] else { return }
            tenant.running -= 1
            tenant.served += Double(nanoseconds) / tenant.weight
            tenants[name] = tenant
        }
    }

    package init(_ executor: any Executor) {
        self.executor = executor
        state = NIOLockedValueBox(State(free: executor.laneCount))
    }

    package func belong(to executor: any Executor) -> Bool { self.executor === executor }

    /// Runs `batch` on a lane: at once where one is free, else when it is the turn of `model`.
    ///
    /// - Parameter weight: above 0; lane time is shared in proportion.
    package func submit(_ model: String, weight: Double, _ batch: @escaping Batch) {
        let starts = state.withLockedValue { state in
            var tenant = state.tenants[model] ?? Tenant()
            tenant.weight = weight.isFinite && weight > 0 ? weight : 1
            if !tenant.isActive {
                let present = state.tenants.values.filter(\.isActive).map(\.served).min() ?? tenant.served
                tenant.served = max(tenant.served, present)
            }
            let starts = state.free > 0
            if starts { state.free -= 1 }
            tenant.batches.append((waited: !starts, batch))
            state.tenants[model] = tenant
            return starts
        }
        guard starts else { return }
        // The batch is not captured: a thread may keep the last thing it did, and with it the model.
        executor.submit { [self] in runBatches() }
    }

    /// Forgets `model` once nothing of it waits or runs on a lane, and then holds nothing of it any more.
    package func leave(_ model: String) async {
        while state.withLockedValue({ $0.tenants[model]?.isActive == true }) { try? await Task.sleep(for: .milliseconds(2)) }
        state.withLockedValue { $0.tenants[model] = nil }
    }

    /// On a lane's thread, as long as anything waits.
    private func runBatches() {
        while let (model, nanoseconds) = runNext() {
            state.withLockedValue { $0.finished(model, nanoseconds: nanoseconds) }
        }
    }

    /// Nil when nothing waits. What the batch holds has gone when this returns.
    private func runNext() -> (model: String, nanoseconds: Int)? {
        guard let next = state.withLockedValue({ $0.next() }) else { return nil }
        let began = clock.now
        next.batch(next.waited)
        return (next.tenant, clock.now - began)
    }
}
