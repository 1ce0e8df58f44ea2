/// What is done about ids that exist.
package enum WriteMode: String, Sendable, CaseIterable {
    /// Nothing is written, and `document_exists` names the first.
    case add
    /// The documents take the place of the old ones, whole.
    case upsert
}

/// What a write did.
package struct WriteReceipt: Sendable, Hashable {
    package var added: Int
    package var replaced: Int

    package init(added: Int, replaced: Int) {
        (self.added, self.replaced) = (added, replaced)
    }
}
