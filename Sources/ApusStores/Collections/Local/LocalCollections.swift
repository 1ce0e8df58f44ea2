package import ApusErrors
package import ApusVectors
import Foundation
import NIOConcurrencyHelpers

/// Collections in the files of a data folder: `collections/NAME` has documents and metadata in SQLite and vectors in a file that is mapped
/// into memory.
///
/// What was answered survives `kill -9` at any moment and, where the disk keeps what it says it has written, a power cut: vectors and the
/// database's log are flushed before each commit is answered, once for all who wait at that moment. A collection is opened at its first
/// use and verified whole; one that is damaged is refused with `store_corrupt`, and nothing of it is changed.
package final class LocalCollections: CollectionStore {
    /// How a data folder is opened.
    package enum Access: Sendable {
        /// By one process at a time.
        case readWrite
        /// Beside a process that writes. Each call sees the collections as they are when it begins.
        case readOnly
    }

    private enum Standing: Sendable {
        case opening(Task<Result<LocalCollection, ApusError>, Never>)
        case open(LocalCollection)
        /// It is being dropped.
        case leaving
    }

    private struct State {
        var standings: [CollectionName: Standing] = [:]
        var isClosed = false
    }

    let folder: String
    private let access: Access
    let engine: any VectorSearch
    private let lock: NIOLockedValueBox<FolderLock?>
    private let state = NIOLockedValueBox(State())
    private let compactions: BackgroundCompactions?

    /// - Parameters:
    ///   - compaction: when collections are compacted by themselves; nil for never.
    ///   - observer: is told of it.
    ///
    /// Throws `store_unavailable` where the folder cannot be used or another process writes into it.
    package init(
        folder data: String, access: Access = .readWrite, engine: any VectorSearch, compaction: CompactionPolicy? = nil,
        observer: CollectionObserver? = nil
    ) throws(ApusError) {
        compactions = compaction.map { BackgroundCompactions($0, observer: observer) }
        folder = "\(data)/collections"
        (self.access, self.engine) = (access, engine)
        guard access == .readWrite else {
            lock = NIOLockedValueBox(nil)
            return
        }
        // A limit on the size of files is to be an error of the write, not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        try Folder.make(folder)
        lock = NIOLockedValueBox(try FolderLock(folder: data))
        Self.endRepairs(in: folder)
        // What was begun or dropped when a process ended.
        for name in Folder.names(in: folder) where name.hasPrefix(".new-") || name.hasPrefix(".dropped-") { Folder.remove("\(folder)/\(name)") }
    }

    package func names() async throws(ApusError) -> [CollectionName] {
        var names: [CollectionName] = []
        for text in Folder.names(in: folder) {
            if let name = try? CollectionName(text) { names.append(name) }
        }
        return names.sorted()
    }

    package func create(_ name: CollectionName, _ settings: CollectionSettings) async throws(ApusError) -> CollectionDescription {
        try expectWritable()
        let (folder, path) = (folder, path(name))
        try await BlockingCall.run { () throws(ApusError) in
            guard !Folder.exists(path) else { throw Self.exists(name) }
            let new = "\(folder)/.new-\(name)-\(UInt64.random(in: 0 ... .max))"
            do throws(ApusError) {
                try Folder.make(new)
                try Self.makeFiles(in: new, settings, createdAt: Int(Date().timeIntervalSince1970 * 1_000))
                // Of two that make the same name at once, one finds a folder that is not empty.
                guard rename(new, path) == 0 else {
                    guard errno != ENOTEMPTY, errno != EEXIST else { throw Self.exists(name) }
                    throw StoreFailure.system("the folder cannot be renamed", errno, new)
                }
                try Folder.flush(folder)
            } catch {
                Folder.remove(new)
                throw error
            }
        }
        return try await collection(name).description()
    }

    package func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription {
        try await collection(name).description()
    }

    package func drop(_ name: CollectionName) async throws(ApusError) {
        let path = try await leave(name)
        let folder = folder
        let result = await Task { () async -> Result<Void, ApusError> in
            do throws(ApusError) {
                return .success(
                    try await BlockingCall.run { () throws(ApusError) in
                        let dropped = "\(folder)/.dropped-\(name)-\(UInt64.random(in: 0 ... .max))"
                        try Folder.rename(path, to: dropped)
                        try Folder.flush(folder)
                        Folder.remove(dropped)
                    })
            } catch {
                return .failure(error)
            }
        }.value
        comeBack(name)
        try result.get()
    }

    /// Closes a collection of which nobody else is to have anything until ``comeBack(_:)``, and returns its folder. Throws `collection_not_found`.
    func leave(_ name: CollectionName) async throws(ApusError) -> String {
        try expectWritable()
        guard Folder.exists(path(name)) else { throw Self.notFound(name) }
        let standing = state.withLockedValue { state in
            defer { state.standings[name] = .leaving }
            return state.standings[name]
        }
        await compactions?.stop(name)
        switch standing {
        case .open(let collection): await collection.close(Self.notFound(name))
        case .opening(let task): if case .success(let collection) = await task.value { await collection.close(Self.notFound(name)) }
        // Whoever came first has it.
        case .leaving: throw Self.notFound(name)
        case nil: break
        }
        return path(name)
    }

    func comeBack(_ name: CollectionName) { state.withLockedValue { $0.standings[name] = nil } }

    /// The files of a collection without documents, on the disk when this returns.
    static func makeFiles(in folder: String, _ settings: CollectionSettings, createdAt: Int) throws(ApusError) {
        try CollectionDatabase.create(in: folder, settings, createdAt: createdAt)
        let format = try VectorFormat(dimensions: settings.dimensions, storage: settings.storage)
        try VectorFile(creating: LocalCollection.vectorPath(folder, 1), generation: 1, format).flush()
        try Folder.flush(folder)
    }

    package func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt {
        let (collection, writer) = try await writable(name)
        let batch = try DocumentBatch(documents, for: collection.settings)
        guard !documents.isEmpty else { return WriteReceipt(added: 0, replaced: 0) }
        guard case .written(let receipt) = try await writer.perform(.documents(batch, mode)) else { return WriteReceipt(added: 0, replaced: 0) }
        if receipt.replaced > 0 { compactions?.consider(collection, writer) }
        return receipt
    }

    package func delete(_ selection: DocumentSelection, from name: CollectionName) async throws(ApusError) -> Int {
        let (collection, writer) = try await writable(name)
        guard case .deleted(let count) = try await writer.perform(.deletion(selection)) else { return 0 }
        if count > 0 { compactions?.consider(collection, writer) }
        return count
    }

    package func documents(
        _ ids: [String], of name: CollectionName, including parts: DocumentParts
    ) async throws(ApusError) -> [StoredDocument?] {
        try await collection(name).documents(ids, including: parts)
    }

    package func list(_ listing: DocumentListing, of name: CollectionName) async throws(ApusError) -> DocumentPage {
        try await collection(name).list(listing)
    }

    package func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]] {
        try await collection(name).search(search)
    }

    package func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport {
        let (collection, writer) = try await writable(name)
        return try await collection.compact(writer)
    }

    package func close() async {
        let standings = state.withLockedValue { state in
            defer { state.standings = [:] }
            state.isClosed = true
            return state.standings.values
        }
        await compactions?.close()
        for standing in standings {
            switch standing {
            case .open(let collection): await collection.close(Self.closed)
            case .opening(let task): if case .success(let collection) = await task.value { await collection.close(Self.closed) }
            case .leaving: break
            }
        }
        lock.withLockedValue { $0 = nil }
    }

    private func path(_ name: CollectionName) -> String { "\(folder)/\(name)" }

    /// The collection, opened if it was not.
    private func collection(_ name: CollectionName) async throws(ApusError) -> LocalCollection {
        let (path, engine) = (path(name), engine)
        guard Folder.exists(path) else { throw Self.notFound(name) }
        guard access == .readWrite else {
            return try await BlockingCall.run { () throws(ApusError) in
                try LocalCollection(opening: name, folder: path, engine: engine, access: .readOnly)
            }
        }
        let standing = state.withLockedValue { state -> Standing? in
            guard !state.isClosed else { return nil }
            if let standing = state.standings[name] { return standing }
            let standing = Standing.opening(Task { await self.open(name, path) })
            state.standings[name] = standing
            return standing
        }
        switch standing {
        case .open(let collection): return collection
        case .opening(let task): return try await task.value.get()
        case .leaving: throw Self.notFound(name)
        case nil: throw Self.closed
        }
    }

    /// Not called off with whoever asked first: others wait for it, too.
    private func open(_ name: CollectionName, _ path: String) async -> Result<LocalCollection, ApusError> {
        let result: Result<LocalCollection, ApusError>
        do throws(ApusError) {
            result = .success(
                try await BlockingCall.run { [engine] () throws(ApusError) in
                    try LocalCollection(opening: name, folder: path, engine: engine, access: .readWrite)
                })
        } catch {
            result = .failure(error)
        }
        state.withLockedValue { state in
            guard case .opening = state.standings[name] else { return }
            // One that could not be opened is tried again when it is asked for again: a file may have been put back.
            state.standings[name] = (try? result.get()).map { .open($0) }
        }
        return result
    }

    private func writable(_ name: CollectionName) async throws(ApusError) -> (LocalCollection, CollectionWriter) {
        try expectWritable()
        let collection = try await collection(name)
        guard let writer = collection.writer else { throw Self.readOnly(folder) }
        return (collection, writer)
    }

    private func expectWritable() throws(ApusError) {
        guard access == .readWrite else { throw Self.readOnly(folder) }
        if state.withLockedValue({ $0.isClosed }) { throw Self.closed }
    }

    private static func readOnly(_ folder: String) -> ApusError {
        ApusError(.storeUnavailable, "the data folder was opened for reading only", place: folder)
    }

    private static var closed: ApusError { ApusError(.storeUnavailable, "the collections were closed") }

    private static func notFound(_ name: CollectionName) -> ApusError {
        ApusError(.collectionNotFound, "there is no collection '\(name)'", place: "collection")
    }

    private static func exists(_ name: CollectionName) -> ApusError {
        ApusError(.collectionExists, "there is a collection '\(name)' already", place: "collection")
    }
}
