import ApusErrors
import ApusVectors
import NIOConcurrencyHelpers

/// Compactions that nobody asked for, one at a time for each collection, while searches and writes go on.
final class BackgroundCompactions: Sendable {
    private struct State {
        var running: [CollectionName: Task<Void, Never>] = [:]
        /// How much was deleted when the last attempt failed: the next waits for as much again, or writes would start one each.
        var failedAt: [CollectionName: Int] = [:]
        var isClosed = false
    }

    private let policy: CompactionPolicy
    private let observer: CollectionObserver?
    private let state = NIOLockedValueBox(State())

    init(_ policy: CompactionPolicy, observer: CollectionObserver?) {
        (self.policy, self.observer) = (policy, observer)
    }

    /// Begins a compaction where one is due. Called after every change.
    func consider(_ collection: LocalCollection, _ writer: CollectionWriter) {
        let snapshot = collection.rows.snapshot
        let (rows, deleted) = (snapshot.rowCount, snapshot.rowCount - snapshot.liveCount)
        guard policy.isDue(rows: rows, deleted: deleted) else { return }
        state.withLockedValue { state in
            guard !state.isClosed, state.running[collection.name] == nil, deleted / 2 >= state.failedAt[collection.name] ?? 0 else { return }
            state.running[collection.name] = Task.detached(priority: .utility) { await self.compact(collection, writer, deleted) }
        }
    }

    /// Calls off what runs for a collection and waits until it has let go.
    func stop(_ name: CollectionName) async {
        let task = state.withLockedValue { $0.running[name] }
        task?.cancel()
        await task?.value
    }

    /// Calls off all and begins no more.
    func close() async {
        let tasks = state.withLockedValue { state in
            state.isClosed = true
            return Array(state.running.values)
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    private func compact(_ collection: LocalCollection, _ writer: CollectionWriter, _ deleted: Int) async {
        let start = ContinuousClock.now
        var failedAt: Int?
        do throws(ApusError) {
            let report = try await collection.compact(writer)
            observer?(.compacted(collection.name, report, start.duration(to: .now)))
        } catch {
            failedAt = deleted
            if error.code != .cancelled { observer?(.compactionFailed(collection.name, error)) }
        }
        state.withLockedValue { [failedAt] state in
            state.running[collection.name] = nil
            state.failedAt[collection.name] = failedAt
        }
    }
}
