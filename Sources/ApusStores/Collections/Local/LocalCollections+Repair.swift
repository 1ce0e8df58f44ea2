package import ApusErrors
import ApusVectors
import Foundation
import GRDB

/// Makes vectors of texts, one for each, by the model of a collection of these settings.
package typealias RepairEmbedding = @Sendable (CollectionSettings, [String]) async throws(ApusError) -> [[Float]]

extension LocalCollections {
    /// Makes a damaged collection a whole one of everything that reads as it was written, in the order of writing. Nothing is guessed: a document
    /// whose vector is not what was written is lost, or embedded again of its text where `embedding` is given. The damaged files are kept beside
    /// the new ones, in a folder that the report names.
    ///
    /// A collection with no damage is left as it is. Throws `store_corrupt` for one that does not even tell what it is, what `embedding` throws, and
    /// what a write throws; the collection is then as it was.
    package func repair(_ name: CollectionName, embedding: RepairEmbedding? = nil) async throws(ApusError) -> RepairReport {
        let path = try await leave(name)
        let result: Result<RepairReport, ApusError>
        do throws(ApusError) {
            result = .success(try await repair(name, path, embedding))
        } catch {
            result = .failure(error)
        }
        comeBack(name)
        return try result.get()
    }

    private func repair(_ name: CollectionName, _ path: String, _ embedding: RepairEmbedding?) async throws(ApusError) -> RepairReport {
        let stamp = Int(Date().timeIntervalSince1970 * 1_000)
        let new = "\(folder)/.new-\(name)-\(stamp)"
        do throws(ApusError) {
            let engine = engine
            let isOpened = await BlockingCall.succeeds { () throws(ApusError) in
                let collection = try LocalCollection(opening: name, folder: path, engine: engine, access: .readOnly)
                try? collection.database.close()
            }
            try Folder.make(new)
            let salvage = try await BlockingCall.run { () throws(ApusError) in try CollectionSalvage(path, work: new) }
            defer { salvage.close() }
            if isOpened, let report = await Self.wholeness(of: salvage) {
                salvage.close()
                Folder.remove(new)
                return report
            }
            var report = try await rebuild(name, salvage, in: new, embedding)
            salvage.close()
            let damaged = "\(folder)/.damaged-\(name)-\(stamp)"
            try await BlockingCall.run { [folder] () throws(ApusError) in
                // Ended between the second and the third step, the folder is found and put in its place when the data folder is opened next.
                let repaired = "\(folder)/\(Self.repairedPrefix)\(name)"
                Folder.remove(repaired)
                try Folder.rename(new, to: repaired)
                try Folder.rename(path, to: damaged)
                try Folder.rename(repaired, to: path)
                try Folder.flush(folder)
            }
            report.damagedFiles = damaged
            return report
        } catch {
            Folder.remove(new)
            throw error
        }
    }

    private static let repairedPrefix = ".repaired-"

    /// Ends what a repair that was killed has left: a collection that is whole and not in its place yet.
    static func endRepairs(in folder: String) {
        for name in Folder.names(in: folder) where name.hasPrefix(repairedPrefix) {
            let path = "\(folder)/\(name.dropFirst(repairedPrefix.utf8.count))"
            if Folder.exists(path) {
                Folder.remove("\(folder)/\(name)")
            } else {
                try? Folder.rename("\(folder)/\(name)", to: path)
            }
        }
    }

    /// What a repair reports of a collection that has no damage; nil for one that has.
    private static func wholeness(of salvage: CollectionSalvage) async -> RepairReport? {
        let report = try? await BlockingCall.run { () throws(ApusError) -> RepairReport? in
            guard salvage.unreadable.isEmpty, salvage.isIndexWhole() else { return nil }
            var report = RepairReport()
            for start in stride(from: 0, to: salvage.entries.count, by: portion) {
                for found in salvage.read(salvage.entries[start..<min(start + portion, salvage.entries.count)]) {
                    guard found.isWhole, found.vector != nil else { return nil }
                    report.kept += 1
                }
            }
            return report
        }
        return report ?? nil
    }

    /// Documents that are read and written at once: their texts may have a megabyte each.
    private static let portion = 128

    private func rebuild(
        _ name: CollectionName, _ salvage: CollectionSalvage, in new: String, _ embedding: RepairEmbedding?
    ) async throws(ApusError) -> RepairReport {
        let (settings, engine) = (salvage.settings, engine)
        let collection = try await BlockingCall.run { () throws(ApusError) in
            try Self.makeFiles(in: new, settings, createdAt: salvage.createdAt)
            return try LocalCollection(opening: name, folder: new, engine: engine, access: .readWrite)
        }
        var report = RepairReport()
        report.lost = salvage.unreadable
        do throws(ApusError) {
            for start in stride(from: 0, to: salvage.entries.count, by: Self.portion) {
                let part = salvage.entries[start..<min(start + Self.portion, salvage.entries.count)]
                let found = try await BlockingCall.run { () throws(ApusError) in salvage.read(part) }
                let documents = try await Self.whole(found, settings, embedding, &report)
                guard !documents.isEmpty else { continue }
                let batch = try DocumentBatch(documents, for: settings)
                // Upserted: of two that say they have one id the later counts, as it did when they were written.
                guard case .written(let receipt)? = try await collection.writer?.perform(.documents(batch, .upsert)) else { throw StoreFailure.cancelled }
                report.kept += receipt.added
            }
        } catch {
            await collection.close(error)
            throw error
        }
        report.kept -= report.embedded.count
        await collection.close(StoreFailure.cancelled)
        report.lost.sort { $0.number < $1.number }
        return report
    }

    /// The documents that can be written; the others go into the report.
    private static func whole(
        _ found: [CollectionSalvage.Found], _ settings: CollectionSettings, _ embedding: RepairEmbedding?, _ report: inout RepairReport
    ) async throws(ApusError) -> [Document] {
        let bare = found.filter { $0.isWhole && $0.vector == nil && $0.text?.isEmpty == false }
        let made = if let embedding, !bare.isEmpty { try await embedding(settings, bare.compactMap(\.text)) } else { [[Float]]() }
        var again = Dictionary(zip(bare.map(\.number), made), uniquingKeysWith: { first, _ in first })
        var documents: [Document] = []
        var ids: Set<[UInt8]> = []
        for document in found {
            guard document.isWhole, let id = document.id, let metadata = document.metadata, ids.insert(Array(id.utf8)).inserted else {
                report.lost.append(RepairReport.Loss(id: document.id, number: document.number, cause: .document, hasText: false))
                continue
            }
            guard let vector = document.vector ?? again.removeValue(forKey: document.number) else {
                report.lost.append(
                    RepairReport.Loss(id: id, number: document.number, cause: .vector, hasText: document.text?.isEmpty == false))
                continue
            }
            if document.vector == nil { report.embedded.append(id) }
            documents.append(Document(id: id, text: document.text, metadata: metadata, vector: vector))
        }
        return documents
    }
}

extension BlockingCall {
    fileprivate static func succeeds(_ work: @escaping @Sendable () throws(ApusError) -> Void) async -> Bool {
        (try? await run(work)) != nil
    }
}
