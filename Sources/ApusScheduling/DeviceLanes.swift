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

    /// A batch in line.
    private struct Entry {
        var batch: Batch
        /// Whether other models had the lanes when it came.
        var waits: Bool
        /// Whether nothing may run beside it, of whatever model.
        var isAlone: Bool
    }

    private struct Tenant {
        var weight = 1.0
        /// Weighted nanoseconds of lane time.
        var served = 0.0
        var entries: [Entry] = []
        var running = 0

        var isActive: Bool { running > 0 || !entries.isEmpty }
    }

    private struct State {
        /// Lanes without a thread of ours on them.
        var free: Int
        var running = 0
        /// Whether what runs wants the device to itself.
        var isSecluded = false
        var tenants: [String: Tenant] = [:]

        var waiting: Int { tenants.values.reduce(0) { $0 + $1.entries.count } }

        /// The next batch of whoever is furthest behind, and whose it is. Nothing starts before a batch that wants the device to itself, which waits
        /// until it has. Without one the lane is free.
        mutating func next() -> (tenant: String, entry: Entry)? {
            let line = tenants.filter { !$0.value.entries.isEmpty }
            guard !isSecluded, let name = line.min(by: { ($0.value.served, $0.key) < ($1.value.served, $1.key) })?.key,
                let first = tenants[name]?.entries.first, !first.isAlone || running == 0
            else {
                free += 1
                return nil
            }
            tenants[name]?.entries.removeFirst()
            tenants[name]?.running += 1
            running += 1
            isSecluded = first.isAlone
            return (name, first)
        }

        /// Returns how many more lanes may start now, which are taken.
        mutating func finished(_ name: String, nanoseconds: Int) -> Int {
            running -= 1
            if var tenant = tenants[name] {
                tenant.running -= 1
                tenant.served += Double(nanoseconds) / tenant.weight
                tenants[name] = tenant
            }
            guard isSecluded else { return 0 }
            isSecluded = false
            let more = max(0, min(free, waiting - 1))
            free -= more
            return more
        }
    }

    package init(_ executor: any Executor) {
        self.executor = executor
        state = NIOLockedValueBox(State(free: executor.laneCount))
    }

    package func belong(to executor: any Executor) -> Bool { self.executor === executor }

    /// Runs `batch` on a lane: at once where one is free, else when it is the turn of `model`.
    ///
    /// - Parameters:
    ///   - weight: above 0; lane time is shared in proportion.
    ///   - alone: whether nothing may run beside it, of whatever model.
    package func submit(_ model: String, weight: Double, alone: Bool = false, _ batch: @escaping Batch) {
        let starts = state.withLockedValue { state in
            var tenant = state.tenants[model] ?? Tenant()
            tenant.weight = weight.isFinite && weight > 0 ? weight : 1
            let others = state.tenants.filter { $0.key != model && $0.value.isActive }
            if !tenant.isActive {
                tenant.served = max(tenant.served, others.values.map(\.served).min() ?? tenant.served)
            }
            let starts = state.free > 0
            if starts { state.free -= 1 }
            tenant.entries.append(Entry(batch: batch, waits: !starts && !others.isEmpty, isAlone: alone))
            state.tenants[model] = tenant
            return starts
        }
        guard starts else { return }
        startLane()
    }

    /// Forgets `model` once nothing of it waits or runs on a lane, and then holds nothing of it any more.
    package func leave(_ model: String) async {
        // A task of its own, which nobody cancels: a cancelled one would not sleep.
        await Task.detached { [self] in
            while state.withLockedValue({ $0.tenants[model]?.isActive == true }) { try? await Task.sleep(for: .milliseconds(2)) }
            state.withLockedValue { $0.tenants[model] = nil }
        }.value
    }

    private func startLane() {
        // The batch is not captured: a thread may keep the last thing it did, and with it the model.
        executor.submit { [self] in runBatches() }
    }

    /// On a lane's thread, as long as anything waits.
    private func runBatches() {
        while let (model, nanoseconds) = runNext() {
            let more = state.withLockedValue { $0.finished(model, nanoseconds: nanoseconds) }
            for _ in 0..<more { startLane() }
        }
    }

    /// Nil when nothing may start. What the batch holds has gone when this returns.
    private func runNext() -> (model: String, nanoseconds: Int)? {
        guard let next = state.withLockedValue({ $0.next() }) else { return nil }
        let began = clock.now
        next.entry.batch(next.entry.waits)
        return (next.tenant, clock.now - began)
    }
}
