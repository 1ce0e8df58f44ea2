import ApusExecution
import Foundation

/// The models of a worker, by the numbers that the front gave them.
final class HostedModels: @unchecked Sendable {
    // `models` is guarded by `lock`.
    private let lock = NSLock()
    private var models: [UInt32: any LoadedModel] = [:]

    func add(_ model: any LoadedModel, as number: UInt32) {
        lock.withLock { models[number] = model }
    }

    func remove(_ number: UInt32) -> (any LoadedModel)? {
        lock.withLock { models.removeValue(forKey: number) }
    }

    subscript(number: UInt32) -> (any LoadedModel)? {
        lock.withLock { models[number] }
    }
}
