package import ApusVectors
import Dispatch
import Foundation
package import Logging
import NIOConcurrencyHelpers

/// Keeps what an embedding cache holds in a file, so that it survives a restart.
///
/// Nobody waits for the file: changes are taken down in memory and written a second later or when many have come, on a queue of its own, and at the
/// start a server answers while it is read. A file that is damaged, or not Apus's, is put aside under another name and a new one begun; one
/// that cannot be used (locked, read-only, disk full) is tried again after a minute, and what changes meanwhile is not written down. Either is
/// told once in the log.
package final class CacheFile: CacheJournal {
    enum Change: Sendable {
        case insert(EmbeddingKey, CachedEmbedding)
        case remove(EmbeddingKey)
    }

    private struct State {
        var pending: [Change] = []
        var isScheduled = false
        var isClosed = false
        var isRestored = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var database: CacheDatabase?
        /// When a file that could not be used is tried again.
        var nextTry: DispatchTime?
        var statistics = StoreStatistics()
    }

    private let path: String
    private let limits: CacheLimits
    private let logger: Logger
    private let queue = DispatchQueue(label: "apus.cache.file", qos: .utility)
    private let state = NIOLockedValueBox(State())

    /// Changes that may wait; more are dropped: the disk does not keep up.
    private static let mostPending = 20_000
    /// Changes that are not kept waiting.
    private static let enoughPending = 2_000
    private static let delay = DispatchTimeInterval.seconds(1)
    private static let pause = DispatchTimeInterval.seconds(60)
    /// For the last write, when a program ends.
    private static let patience = DispatchTimeInterval.seconds(5)

    /// `limits` are those of the cache, which the file follows. Nothing is opened before ``open(for:)``.
    package init(path: String, limits: CacheLimits, logger: Logger) {
        // An absolute path is never one of SQLite's special names.
        self.path = URL(fileURLWithPath: path).path
        self.limits = limits
        self.logger = logger
    }

    package var statistics: StoreStatistics { state.withLockedValue { $0.statistics } }

    package func open(for cache: EmbeddingCache) {
        queue.async { self.restore(into: cache) }
    }

    package func record(inserted: (key: EmbeddingKey, value: CachedEmbedding)?, removed: [EmbeddingKey]) {
        let when = state.withLockedValue { state -> DispatchTimeInterval? in
            guard !state.isClosed else { return nil }
            guard state.pending.count < Self.mostPending else {
                if inserted != nil { state.statistics.drops += 1 }
                return nil
            }
            for key in removed { state.pending.append(.remove(key)) }
            if let inserted { state.pending.append(.insert(inserted.key, inserted.value)) }
            if state.pending.count == Self.enoughPending { return .nanoseconds(0) }
            guard !state.isScheduled else { return nil }
            state.isScheduled = true
            return Self.delay
        }
        if let when { queue.asyncAfter(deadline: .now() + when) { self.flush() } }
    }

    package func waitUntilRestored() async {
        await withCheckedContinuation { continuation in
            let isRestored = state.withLockedValue { state in
                if !state.isRestored { state.waiters.append(continuation) }
                return state.isRestored
            }
            if isRestored { continuation.resume() }
        }
    }

    package func close() async {
        await withCheckedContinuation { continuation in
            let waiting = NIOLockedValueBox<CheckedContinuation<Void, Never>?>(continuation)
            let finish: @Sendable () -> Void = {
                waiting.withLockedValue { waiting in
                    defer { waiting = nil }
                    return waiting
                }?.resume()
            }
            // A disk that hangs must not keep the program from ending.
            DispatchQueue.global().asyncAfter(deadline: .now() + Self.patience, execute: finish)
            state.withLockedValue { $0.isClosed = true }
            queue.async {
                self.flush()
                self.letGo()
                finish()
            }
        }
    }

    // MARK: On the queue

    private func restore(into cache: EmbeddingCache) {
        defer {
            let waiters = state.withLockedValue { state in
                state.isRestored = true
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume() }
        }
        guard let database = opened() else { return }
        do {
            var entries = 0
            let damaged = try database.read { key, value in
                cache.restore(value, for: key)
                entries += 1
                return !state.withLockedValue { $0.isClosed }
            }
            state.withLockedValue { state in
                state.statistics.entries = entries
                state.statistics.corruptions += damaged
            }
            if damaged > 0 { logger.warning("\(damaged) entries of the embedding cache \(path) were damaged and are taken out") }
            logger.info("the embedding cache \(path) remembers \(entries) texts")
        } catch {
            give(up: error)
        }
    }

    private func flush() {
        let changes = state.withLockedValue { state in
            state.isScheduled = false
            defer { state.pending = [] }
            return state.pending
        }
        guard !changes.isEmpty else { return }
        let inserted = changes.count { if case .insert = $0 { true } else { false } }
        guard let database = opened() else {
            state.withLockedValue { $0.statistics.drops += inserted }
            return
        }
        do {
            // More than the cache's own number only while changes are on their way.
            let (spare, overflow) = limits.maxEntries.addingReportingOverflow(limits.maxEntries / 8 + Self.mostPending)
            let size = try database.write(changes, mostEntries: overflow ? .max : spare)
            state.withLockedValue { state in
                state.statistics.writes += inserted
                (state.statistics.entries, state.statistics.bytes) = (size.entries, size.bytes)
            }
        } catch {
            state.withLockedValue { $0.statistics.drops += inserted }
            give(up: error)
        }
    }

    /// The file, opened if it is not; nil while it cannot be.
    private func opened() -> CacheDatabase? {
        let (database, nextTry) = state.withLockedValue { ($0.database, $0.nextTry) }
        if let database { return database }
        if let nextTry, nextTry > .now() { return nil }
        do {
            do {
                return use(try CacheDatabase(path: path))
            } catch CacheDatabase.Fault.notOurs(let reason) {
                try putAside(reason)
                return use(try CacheDatabase(path: path))
            }
        } catch {
            give(up: error)
            return nil
        }
    }

    private func use(_ database: CacheDatabase) -> CacheDatabase {
        let wasAway = state.withLockedValue { state in
            state.database = database
            state.nextTry = nil
            state.statistics.isAvailable = true
            defer { state.statistics.trouble = nil }
            return state.statistics.trouble != nil
        }
        if wasAway { logger.notice("the embedding cache \(path) is kept again") }
        return database
    }

    /// Does without the file for a while; begins a new one in the place of one that turned out to be damaged.
    private func give(up error: any Error) {
        letGo()
        var trouble = "\(error)"
        switch error {
        case CacheDatabase.Fault.notOurs(let reason):
            do {
                try putAside(reason)
                return
            } catch CacheDatabase.Fault.unusable(let text) {
                trouble = text
            } catch {
                trouble = "\(error)"
            }
        case CacheDatabase.Fault.unusable(let reason): trouble = reason
        default: break
        }
        let isNews = state.withLockedValue { state in
            state.nextTry = .now() + Self.pause
            state.statistics.failures += 1
            state.statistics.isAvailable = false
            defer { state.statistics.trouble = trouble }
            return state.statistics.trouble == nil
        }
        if isNews {
            logger.warning(
                "the embedding cache is not kept in \(path): \(trouble). Texts are remembered in memory alone; the file is tried again every minute")
        }
    }

    private func letGo() {
        let database = state.withLockedValue { state in
            state.statistics.isAvailable = false
            defer { state.database = nil }
            return state.database
        }
        database?.close()
    }

    /// Renames the file, with what SQLite keeps beside it.
    private func putAside(_ reason: String) throws {
        let files = FileManager.default
        let stamp = Int(Date().timeIntervalSince1970)
        var name = "\(path).aside-\(stamp)"
        var number = 1
        while files.fileExists(atPath: name) {
            number += 1
            name = "\(path).aside-\(stamp)-\(number)"
        }
        do {
            try files.moveItem(atPath: path, toPath: name)
            for suffix in ["-wal", "-shm"] where files.fileExists(atPath: path + suffix) {
                try files.moveItem(atPath: path + suffix, toPath: name + suffix)
            }
        } catch {
            throw CacheDatabase.Fault.unusable("\(reason), and it cannot be renamed")
        }
        state.withLockedValue { $0.statistics.corruptions += 1 }
        logger.warning("the embedding cache \(path) cannot be read (\(reason)): it is now \(name), and a new one is begun")
    }
}
