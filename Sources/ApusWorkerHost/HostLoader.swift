import ApusErrors
import ApusExecution
import ApusWorkers
import Foundation

/// Answers what the front asks of the executor as a whole.
struct HostLoader: Sendable {
    private let executor: any Executor
    private let models: HostedModels

    init(_ executor: any Executor, _ models: HostedModels) {
        self.executor = executor
        self.models = models
    }

    /// Nil for frames that ask for something else. Blocks until it is done.
    func answer(_ frame: Frame) throws(ApusError) -> Frame? {
        let executor = executor
        switch frame.kind {
        case .load:
            let order = try frame.document(LoadOrder.init(reading:))
            let model = try Self.wait { () throws(ApusError) in try await executor.load(order.request) }
            models.add(model, as: order.number)
            let outline = ModelOutline(inputs: model.inputs, outputs: model.outputs, assignment: model.assignment)
            return Frame(.loaded, sequence: frame.sequence) { outline.write(to: &$0) }
        case .memory:
            let memory = try Self.wait { () throws(ApusError) in try await executor.memory() }
            return Frame(.memoryState, sequence: frame.sequence) { memory.write(to: &$0) }
        case .group:
            let state = try Self.wait { () throws(ApusError) in try await executor.groupState() }
            return Frame(.groupState, sequence: frame.sequence) { (state ?? GroupState(stages: [], activeNanoseconds: 0)).write(to: &$0) }
        case .clearCache:
            try Self.wait { () throws(ApusError) in try await executor.clearCache() }
            return Frame(.done, sequence: frame.sequence)
        case .profile:
            let order = try frame.document(ProfileOrder.init(reading:))
            try Self.wait { () throws(ApusError) in try await executor.profile(steps: order.steps, into: order.directory) }
            return Frame(.done, sequence: frame.sequence)
        default:
            return nil
        }
    }

    /// Waits on this thread, which is none of Swift's cooperative pool.
    private static func wait<Value: Sendable>(
        _ work: @escaping @Sendable () async throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        let outcome = Outcome<Value>()
        Task {
            do throws(ApusError) {
                outcome.set(.success(try await work()))
            } catch {
                outcome.set(.failure(error))
            }
        }
        return try outcome.wait().get()
    }
}

/// A value that one thread waits for.
private final class Outcome<Value: Sendable>: @unchecked Sendable {
    // `value` is guarded by `condition`.
    private let condition = NSCondition()
    private var value: Result<Value, ApusError>?

    func set(_ value: Result<Value, ApusError>) {
        condition.withLock {
            self.value = value
            condition.signal()
        }
    }

    func wait() -> Result<Value, ApusError> {
        condition.withLock {
            while true {
                if let value { return value }
                condition.wait()
            }
        }
    }
}
