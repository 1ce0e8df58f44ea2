import ApusErrors
import ApusExecution
import ApusVectors
import CApusProcess
import GRDB
import NIOConcurrencyHelpers

/// The one writer of a collection, on a thread of its own. Those who come while it waits for the disk share the next transaction.
///
/// A group is written in this order: vectors into the file, documents into the database's log, vectors to the disk, the commit to the disk,
/// then the answers. Killed anywhere before the commit, the group was never there: rows beyond those that the database knows are nobody's.
final class CollectionWriter: @unchecked Sendable {
    // `rows` and `next` are touched on the writer's thread alone; the rest is locked or does not change.
    private struct Waiting {
        let write: Write
        let answer: @Sendable (Result<Done, ApusError>) -> Void
    }

    private struct Queue {
        var waiting: [Waiting] = []
        var isScheduled = false
        /// Why nothing is taken any more.
        var closed: ApusError?
    }

    enum Write: Sendable {
        case documents(DocumentBatch, WriteMode)
        case deletion(DocumentSelection)
    }

    enum Done: Sendable {
        case written(WriteReceipt)
        case deleted(Int)
    }

    let database: DatabasePool
    let folder: String
    private let publishedRows: NIOLockedValueBox<PublishedRows>
    private let queue = NIOLockedValueBox(Queue())
    private let thread: LaneThreads
    var rows: GrowingRows
    var next: Int64

    /// Vectors of a group, in bytes; more wait for the next.
    private static let groupBytes = 32 << 20

    init(_ database: DatabasePool, folder: String, name: CollectionName, _ rows: GrowingRows, next: Int64) {
        (self.database, self.folder, self.rows, self.next) = (database, folder, rows, next)
        publishedRows = NIOLockedValueBox(rows.published)
        thread = LaneThreads(count: 1, name: "write-\(name)", stackBytes: 1 << 20) { _ in Self.yieldToSearches() }
    }

    /// What searches see now.
    var published: PublishedRows { publishedRows.withLockedValue { $0 } }

    /// Returns when the write is durable and searches find it.
    func perform(_ write: Write) async throws(ApusError) -> Done {
        let result = await withCheckedContinuation { continuation in
            let waiting = Waiting(write: write) { continuation.resume(returning: $0) }
            let (closed, isFirst) = queue.withLockedValue { queue -> (ApusError?, Bool) in
                if let closed = queue.closed { return (closed, false) }
                queue.waiting.append(waiting)
                defer { queue.isScheduled = true }
                return (nil, !queue.isScheduled)
            }
            if let closed { waiting.answer(.failure(closed)) }
            if isFirst { thread.submit { self.writeAll() } }
        }
        return try result.get()
    }

    /// Runs `body` on the writer's thread, between groups.
    func between<Value: Sendable>(_ body: @escaping @Sendable () throws(ApusError) -> Value) async throws(ApusError) -> Value {
        let result = await withCheckedContinuation { continuation in
            thread.submit { continuation.resume(returning: Result { () throws(ApusError) in try body() }) }
        }
        return try result.get()
    }

    /// Refuses what comes from now on with `reason`, and returns when all that came before was answered.
    func close(_ reason: ApusError) async {
        queue.withLockedValue { $0.closed = reason }
        await withCheckedContinuation { continuation in
            thread.submit {
                self.writeAll()
                continuation.resume()
            }
        }
        thread.close()
    }

    /// A third of the weight of others where cores are short, and no search waits for the end of its turn.
    private static func yieldToSearches() {
        _ = apus_thread_stand_back(5)
    }

    /// Lets searches see the rows as they are. On the writer's thread only.
    func publish() {
        let now = rows.published
        publishedRows.withLockedValue { $0 = now }
    }

    private func writeAll() {
        while let group = nextGroup() { write(group) }
    }

    private func nextGroup() -> [Waiting]? {
        queue.withLockedValue { queue in
            var bytes = 0
            let count = queue.waiting.prefix { waiting in
                if case .documents(let batch, _) = waiting.write { bytes += batch.vectors.values.count * 4 }
                return bytes <= Self.groupBytes
            }.count
            let group = Array(queue.waiting.prefix(max(1, count)))
            queue.waiting.removeFirst(group.count)
            if group.isEmpty { queue.isScheduled = false }
            return group.isEmpty ? nil : group
        }
    }

    private func write(_ group: [Waiting]) {
        var results: [Result<Done, ApusError>] = []
        do {
            try database.writeWithoutTransaction { db in
                var (written, number) = (rows, next)
                var deleted: [Int] = []
                try db.inTransaction(.immediate) {
                    var transaction = WriteTransaction(db, rows, next: next)
                    for waiting in group {
                        switch waiting.write {
                        case .documents(let batch, let mode):
                            results.append(try transaction.write(batch, mode).map { .written($0) })
                        case .deletion(let selection):
                            results.append(.success(.deleted(try transaction.delete(selection))))
                        }
                    }
                    (written, number, deleted) = (transaction.rows, transaction.next, transaction.deleted)
                    if number != next { try written.file.flush() }
                    return .commit
                }
                (rows, next) = (written, number)
                rows.delete(deleted)
            }
            publish()
        } catch {
            let failure = StoreFailure.error(error, "\(folder)/\(CollectionDatabase.fileName)")
            results = group.map { _ in .failure(failure) }
            restore()
        }
        for (waiting, result) in zip(group, results) { waiting.answer(result) }
    }

    /// Forgets what was written since the last publication.
    private func restore() {
        do throws(ApusError) {
            rows = try GrowingRows(restoring: published)
        } catch {
            // Without its rows the writer cannot number new ones.
            queue.withLockedValue { $0.closed = error }
        }
    }
}
