import ApusErrors
import ApusVectors
import Foundation
import GRDB

/// What a collection's database says of the collection itself.
struct CollectionRecord: Sendable {
    let settings: CollectionSettings
    let createdAt: Int
    /// That of the vector file that counts.
    let generation: Int64
    /// The lowest number that the next document may get.
    let next: Int64

    static func read(_ db: Database, _ path: String) throws -> CollectionRecord {
        let sql = "SELECT dimensions, metric, storage, model, weights, created, generation, next FROM collection WHERE id = 1"
        guard let row = try Row.fetchOne(db, sql: sql), let metric = VectorMetric(rawValue: try row.name(1)),
            let storage = VectorStorage(rawValue: try row.name(2))
        else { throw StoreFailure.corrupt("the file does not say what the collection is", path) }
        let (model, weights) = (try row.optionalBytes(3), try row.optionalBytes(4))
        let dimensions = Int(try row.integer(0))
        do throws(ApusError) {
            let settings = try CollectionSettings(
                dimensions: dimensions, metric: metric, storage: storage, model: model.map { String(decoding: $0, as: UTF8.self) },
                weights: weights.map { String(decoding: $0, as: UTF8.self) })
            return CollectionRecord(
                settings: settings, createdAt: Int(try row.integer(5)), generation: try row.integer(6), next: try row.integer(7))
        } catch {
            throw StoreFailure.corrupt("the file says of the collection what cannot be: \(error.message)", path)
        }
    }
}

/// One row of the vector file, as the database knows it.
struct StoredRow: Sendable {
    let number: Int64
    let checksum: UInt32
    let isDeleted: Bool

    /// All rows, in the order in which the file has them.
    static func readAll(_ db: Database) throws -> [StoredRow] {
        let rows = try Row.fetchCursor(db, sql: "SELECT seq, vector, deleted FROM rows ORDER BY seq")
        var stored: [StoredRow] = []
        while let row = try rows.next() {
            stored.append(
                StoredRow(
                    number: try row.integer(0), checksum: UInt32(truncatingIfNeeded: try row.integer(1)),
                    isDeleted: try row.integer(2) != 0))
        }
        return stored
    }
}
