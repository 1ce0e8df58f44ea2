import ApusErrors
import ApusJSON
import ApusStores

/// What a collection is to do, done by looking at every document. Vectors of small whole numbers make its scores exact.
struct NaiveCollection {
    struct Entry {
        var document: Document
        var order: Int
    }

    private(set) var entries: [String: Entry] = [:]
    private var order = 0

    mutating func write(_ documents: [Document], _ mode: WriteMode) -> Bool {
        if mode == .add, documents.contains(where: { entries[$0.id] != nil }) { return false }
        for document in documents {
            entries[document.id] = Entry(document: document, order: order)
            order += 1
        }
        return true
    }

    mutating func delete(_ ids: [String]) -> Int {
        ids.reduce(0) { $0 + (entries.removeValue(forKey: $1) == nil ? 0 : 1) }
    }

    mutating func delete(_ filter: MetadataFilter) -> Int {
        delete(entries.values.filter { filter.matches($0.document.metadata) }.map(\.document.id))
    }

    func search(_ query: [Float], k: Int, _ filter: MetadataFilter?) -> [(id: String, score: Float)] {
        entries.values.filter { filter?.matches($0.document.metadata) ?? true }
            .map { (entry: $0, score: zip(query, $0.document.vector).reduce(0) { $0 + $1.0 * $1.1 }) }
            .sorted { $0.score != $1.score ? $0.score > $1.score : $0.entry.order < $1.entry.order }
            .prefix(k).map { ($0.entry.document.id, $0.score) }
    }

    func list(_ filter: MetadataFilter?) -> [String] {
        entries.values.filter { filter?.matches($0.document.metadata) ?? true }.map(\.document.id)
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
