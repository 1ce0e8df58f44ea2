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
        var batches: [Batch] = []
        var running = 0

        var isActive: Bool { running > 0 || !batches.isEmpty }
    }

    private struct State {
        var free: Int
        var tenants: [String: Tenant] = [:]

        /// The next batch of whoever is furthest behind, and whose it is.
        mutating func next() -> (tenant: String, batch: Batch)? {
            let waiting = tenants.filter { !$0.value.batches.isEmpty }
            guard let name = waiting.min(by: { ($0.value.served, $0.key) < ($1.value.served, $1.key) })?.key,
                let batch = tenants[name]?.batches.removeFirst()
            else { return nil }
            tenants[name]?.running += 1
            return (name, batch)
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
            if starts {
                state.free -= 1
                tenant.running += 1
            } else {
                tenant.batches.append(batch)
            }
            state.tenants[model] = tenant
            return starts
        }
        guard starts else { return }
        executor.submit { [self] in run(model, batch) }
    }

    /// On a lane's thread: this batch and, as long as others wait, theirs.
    private func run(_ model: String, _ batch: @escaping Batch) {
        var (model, batch, waited) = (model, batch, false)
        while true {
            let began = clock.now
            batch(waited)
            let ended = clock.now
            let next = state.withLockedValue { state in
                state.finished(model, nanoseconds: ended - began)
                let next = state.next()
                if next == nil { state.free += 1 }
                return next
            }
            guard let next else { return }
            (model, batch, waited) = (next.tenant, next.batch, true)
        }
    }
}
