package import ApusErrors
package import ApusStores

/// A collection in a list: as it stands, or why it cannot be opened.
package struct ListedCollection: Sendable {
    package let name: CollectionName
    package let outcome: Result<CollectionDescription, ApusError>
}

/// Which collections there are, and what is done to them as a whole.
struct CollectionsOperation: Sendable {
    let run: CollectionRun
    /// When the answer stops being of use; nil for never.
    let deadline: ContinuousClock.Instant?

    func list() async throws -> [ListedCollection] {
        try await run.run(.list, until: deadline) { store in
            var collections: [ListedCollection] = []
            for name in try await store.names() {
                let outcome: Result<CollectionDescription, ApusError>
                do throws(ApusError) {
                    outcome = .success(try await store.describe(name))
                } catch {
                    // Dropped in the meantime.
                    if error.code == .collectionNotFound { continue }
                    guard error.code == .storeCorrupt || error.code == .storeUnavailable else { throw error }
                    outcome = .failure(CollectionRun.told(error))
                }
                collections.append(ListedCollection(name: name, outcome: outcome))
            }
            return collections
        }
    }

    func describe(_ name: CollectionName) async throws -> CollectionDescription {
        try await run.run(.describe, until: deadline) { try await $0.describe(name) }
    }

    func drop(_ name: CollectionName) async throws {
        try await run.run(.drop, until: deadline) { try await $0.drop(name) }
    }

    func compact(_ name: CollectionName) async throws -> CompactionReport {
        try await run.run(.compact, through: run.writes, until: deadline) { try await $0.compact(name) }
    }
}
