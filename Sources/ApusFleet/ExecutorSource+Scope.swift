package import ApusErrors
package import ApusExecution

extension ExecutorSource {
    /// Hands `body` an executor that is gone afterwards with all its memory.
    package func withExecutor<Value: Sendable>(
        _ settings: ExecutorSettings, _ body: (any Executor) async throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        let executor = try await executor(settings, faults: [:]) { _, _ in }
        let result: Result<Value, ApusError>
        do throws(ApusError) {
            result = .success(try await body(executor))
        } catch {
            result = .failure(error)
        }
        await executor.shutdown()
        return try result.get()
    }
}
