import ApusExecution
import Foundation

/// Releases models on a thread of its own: a large one takes a while to go, and heartbeats are to be answered meanwhile.
final class ModelDisposal: @unchecked Sendable {
    // `models` is guarded by `condition`.
    private let condition = NSCondition()
    private var models: [any LoadedModel] = []

    init() {
        let thread = Thread { [self] in
            Thread.current.name = "disposal"
            while true { next() }
        }
        thread.start()
    }

    func dispose(_ model: any LoadedModel) {
        condition.withLock {
            models.append(model)
            condition.signal()
        }
    }

    /// Waits for models and lets them go outside of the lock.
    private func next() {
        let gone = condition.withLock {
            while models.isEmpty { condition.wait() }
            defer { models = [] }
            return models
        }
        withExtendedLifetime(gone) {}
    }
}
