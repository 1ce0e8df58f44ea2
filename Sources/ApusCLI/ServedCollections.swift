import ApusErrors
import ApusService
import ApusStores
import Logging
import NIOConcurrencyHelpers

/// The collections of a server, opened when they are first asked for: a server that is never asked makes no folder and takes no lock.
final class ServedCollections: CollectionSource {
    private enum Standing: Sendable {
        case untouched
        case opening(Task<Result<any CollectionStore, ApusError>, Never>)
        case open(any CollectionStore)
        case failed(ApusError, since: ContinuousClock.Instant)
        case closed
    }

    /// How long a failure stands before it is looked whether it still does.
    private static let patience = Duration.seconds(1)

    private let make: @Sendable () async throws(ApusError) -> any CollectionStore
    private let logger: Logger
    private let standing = NIOLockedValueBox(Standing.untouched)

    /// - Parameter make: opens them.
    init(logger: Logger, _ make: @escaping @Sendable () async throws(ApusError) -> any CollectionStore) {
        self.logger = logger
        self.make = make
    }

    func store() async throws(ApusError) -> any CollectionStore {
        let now = standing.withLockedValue { standing in
            switch standing {
            case .failed(_, let since) where since.duration(to: .now) >= Self.patience: standing = .opening(Task { await self.open() })
            case .untouched: standing = .opening(Task { await self.open() })
            case .opening, .open, .failed, .closed: break
            }
            return standing
        }
        switch now {
        case .opening(let task): return try await task.value.get()
        case .open(let store): return store
        case .failed(let error, _): throw error
        case .untouched, .closed: throw ApusError(.storeUnavailable, "the collections were closed")
        }
    }

    /// Waits for what was acknowledged and lets go of files. Nothing is opened any more.
    func close() async {
        let before = standing.withLockedValue { standing in
            defer { standing = .closed }
            return standing
        }
        switch before {
        case .open(let store): await store.close()
        case .opening(let task): if case .success(let store) = await task.value { await store.close() }
        case .untouched, .failed, .closed: break
        }
    }

    /// Not called off with whoever asked first: others wait for it, too.
    private func open() async -> Result<any CollectionStore, ApusError> {
        do throws(ApusError) {
            let store = try await make()
            put(.open(store))
            logger.info("the collections are open")
            return .success(store)
        } catch {
            put(.failed(error, since: .now))
            logger.error("the collections cannot be opened: \(error)")
            return .failure(error)
        }
    }

    private func put(_ next: Standing) {
        standing.withLockedValue { standing in
            if case .closed = standing { return }
            standing = next
        }
    }
}
