/// The members of a JSON object in document order, with look-up by key.
///
/// Keys are compared by their UTF-8 bytes. Swift's `String ==` is canonical equivalence, which would take the composed
/// and the decomposed spelling of "é" for one key; vocabularies hold both.
package struct JSONObject: Sendable {
    package private(set) var entries: [(key: String, value: JSONValue)] = []
    /// Present from ``scanLimit`` entries on: fewer are found faster by looking at each.
    private var index: JSONKeyIndex?

    private static let scanLimit = 16

    package init() {}

    package var count: Int { entries.count }

    /// The value of `key`, or nil when there is none.
    package subscript(key: String) -> JSONValue? {
        guard let position = position(of: key) else { return nil }
        return entries[position].value
    }

    /// Adds a member at the end.
    /// - Returns: false, and the object stays as it was, when the key is already present.
    package mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        let position = entries.count
        if index == nil {
            for entry in entries where entry.key.hasSameBytes(as: key) { return false }
            entries.append((key, value))
            if entries.count > Self.scanLimit {
                var index = JSONKeyIndex()
                for position in entries.indices {
                    _ = index.insert(position, hash: JSONKeyIndex.hash(entries[position].key)) { _ in false }
                }
                self.index = index
            }
            return true
        }
        let hash = JSONKeyIndex.hash(key)
        let isNew = index?.insert(position, hash: hash) { [entries] other in entries[other].key.hasSameBytes(as: key) }
        guard isNew == true else { return false }
        entries.append((key, value))
        return true
    }

    private func position(of key: String) -> Int? {
        if let index {
            return index.find(hash: JSONKeyIndex.hash(key)) { entries[$0].key.hasSameBytes(as: key) }
        }
        return entries.firstIndex { $0.key.hasSameBytes(as: key) }
    }
}
