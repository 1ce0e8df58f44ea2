import ApusErrors
import ApusVectors
import Foundation
import GRDB

extension LocalCollection {
    func search(_ search: CollectionSearch) async throws(ApusError) -> [[CollectionHit]] {
        try await settled { rows async throws(ApusError) -> [[CollectionHit]]? in
            guard let filter = try await self.rowFilter(search.filter, rows) else { return nil }
            let query = VectorQuery(search.queries, k: search.k, metric: self.settings.metric, filter: filter)
            let found = try await self.engine.search(query, in: rows.snapshot)
            let numbers = Set(found.joined().map { rows.numbers[$0.row] })
            let parts = search.parts
            // With a filter the metadata are read, too, to make sure of what the index says.
            let read = search.filter == nil ? parts : parts.union(.metadata)
            let documents = try await self.readBriefly { db throws(ApusError) in try DocumentReader(db).documents(numbers, read) }
            var answers: [[CollectionHit]] = []
            answers.reserveCapacity(found.count)
            for hits in found {
                var answer: [CollectionHit] = []
                answer.reserveCapacity(hits.count)
                for hit in hits {
                    // Compacted away since the search began.
                    guard var document = documents[rows.numbers[hit.row]] else { return nil }
                    try search.filter?.expect(document, self.place)
                    if !parts.contains(.metadata) { document.metadata = nil }
                    if parts.contains(.vector) { document.vector = rows.snapshot.vector(of: hit.row) }
                    answer.append(CollectionHit(document: document, score: hit.score))
                }
                answers.append(answer)
            }
            return answers
        }
    }

    func documents(_ ids: [String], including parts: DocumentParts) async throws(ApusError) -> [StoredDocument?] {
        try await settled { rows async throws(ApusError) -> [StoredDocument?]? in
            let read = try await self.readBriefly { db throws(ApusError) in
                let reader = DocumentReader(db)
                let numbers = try reader.numbers(of: ids)
                return (numbers, try reader.documents(Set(numbers.compactMap { $0 }), parts))
            }
            var answers: [StoredDocument?] = []
            for (id, number) in zip(ids, read.0) {
                guard let number else {
                    answers.append(nil)
                    continue
                }
                guard let document = self.complete(read.1[number], number, parts, rows) else { return nil }
                guard document.id.utf8.elementsEqual(id.utf8) else {
                    throw StoreFailure.corrupt("the id '\(id)' leads to the document '\(document.id)'", self.place)
                }
                answers.append(document)
            }
            return answers
        }
    }

    func list(_ listing: DocumentListing) async throws(ApusError) -> DocumentPage {
        guard DocumentListing.limits.contains(listing.limit) else {
            throw ApusError(
                .invalidValue,
                "a page has \(DocumentListing.limits.lowerBound) to \(DocumentListing.limits.upperBound) documents, not \(listing.limit)",
                place: "limit")
        }
        return try await settled { rows async throws(ApusError) -> DocumentPage? in
            let generation = rows.generation
            let place = self.place
            let read = try await self.read { db throws(ApusError) -> (numbers: [Int64], documents: [Int64: StoredDocument])? in
                let reader = DocumentReader(db)
                // One more than wanted tells whether there is a next page.
                guard let numbers = try reader.page(listing, generation: generation, rows.numbers, place: place) else { return nil }
                return (numbers, try reader.documents(Set(numbers.prefix(listing.limit)), listing.parts))
            }
            guard let read else { return nil }
            var documents: [StoredDocument] = []
            for number in read.numbers.prefix(listing.limit) {
                guard let document = self.complete(read.documents[number], number, listing.parts, rows) else { return nil }
                documents.append(document)
            }
            return DocumentPage(documents: documents, next: read.numbers.count > listing.limit ? documents.last?.id : nil)
        }
    }

    /// nil where the rows that are published are not those that the database has now.
    private func rowFilter(_ filter: MetadataFilter?, _ rows: PublishedRows) async throws(ApusError) -> RowFilter? {
        guard let filter else { return .all }
        let (numbers, count, generation, place) = (rows.numbers, rows.snapshot.rowCount, rows.generation, place)
        let bits = try await read { db throws(ApusError) -> RowBits? in
            try DocumentReader(db).rows(filter, generation: generation, numbers, rowCount: count, place: place)
        }
        guard let bits else { return nil }
        // A list where it is the smaller form.
        return .allowing(bits.members * 64 < bits.count ? try RowSet(bits.rows) : RowSet(bits: bits.words))
    }

    /// The document with its vector, if that is wanted; nil where it is not among the published rows.
    private func complete(_ document: StoredDocument?, _ number: Int64, _ parts: DocumentParts, _ rows: PublishedRows) -> StoredDocument? {
        guard var document, parts.contains(.vector) else { return document }
        guard let row = rows.numbers.row(of: number), let vector = rows.snapshot.vector(of: row) else { return nil }
        document.vector = vector
        return document
    }

    /// Repeats what met a commit or a compaction between two looks. Each time the writer has published what it had committed, so that a second
    /// time is rare and more are next to impossible.
    private func settled<Value: Sendable>(
        _ attempt: (PublishedRows) async throws(ApusError) -> Value?
    ) async throws(ApusError) -> Value {
        for _ in 0..<8 {
            if let value = try await attempt(rows) { return value }
            try await writer?.between { () throws(ApusError) in }
        }
        throw ApusError(.storeUnavailable, "the collection changed while it was read", place: folder, advice: "Ask again")
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws(ApusError) -> Value) async throws(ApusError) -> Value {
        do {
            return try await database.read { db in try body(db) }
        } catch {
            throw StoreFailure.error(error, place)
        }
    }

    /// Reads a few documents on one thread. GRDB's own asynchronous read goes over two queues first, and each change of threads waits for a core
    /// where others use them.
    func readBriefly<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        let (database, place) = (database, place)
        return try await BlockingCall.run { () throws(ApusError) in
            do {
                return try database.read { db in try body(db) }
            } catch {
                throw StoreFailure.error(error, place)
            }
        }
    }

    var place: String { "\(folder)/\(CollectionDatabase.fileName)" }
}

extension MetadataFilter {
    /// Throws `store_corrupt` for a document that the index led to and that does not pass.
    fileprivate func expect(_ document: StoredDocument, _ place: String) throws(ApusError) {
        guard document.metadata.map({ matches($0) }) == true else {
            throw StoreFailure.corrupt("the index of metadata leads to '\(document.id)', which does not pass the filter", place)
        }
    }
}
