import ApusBatching
import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusFleet
import ApusScheduling
import ApusTensor
import Logging

extension EngineRoom {
    /// Loads the ONNX file at `path` onto the devices and proves it there against its plain graph on the CPU.
    ///
    /// Throws `file_unreadable`, `invalid_checkpoint` for what is no ONNX model, `unsupported_plan` for a network that cannot be cut as the plan wants it, `unsupported_model` for one whose items cannot be batched, the
    /// engine's errors, `no_device`, `insufficient_memory`, and `wrong_answer`.
    func loadTensors(
        path: String, name: String, policy: BatchPolicy, weight: Double = 1
    ) async throws(ApusError) -> ReadyTensorModel {
        let (file, weights, cuts) = try await BlockingWork.run { () throws(ApusError) in
            let file = try ONNXFile(path: path)
            return (file, try file.sha256(), try self.cuts(of: file, name: name))
        }
        let reference = try await reference(file, name)
        let batch = reference?.signature.largestBatch(policy.maxBatchSize) ?? policy.maxBatchSize
        let scheduler: BatchScheduler<TensorWork> = scheduler(
            name, policy, weight: weight, metrics: BatchMetrics(model: name), weights: weights) { _ in ServedForm(file: file.precision).label }
        let recipe = TensorRecipe(name: name, file: file, answer: reference?.answer, optimization: optimization, cuts: cuts)
        let placed = PlacedModel(
            name: name, recipe, scheduler: scheduler,
            needs: ModelMemory(file, itemBytes: reference?.itemBytes ?? 0, batch: batch), weights: weights, tokenBudget: batch,
            room: .init(memory: memory, lanes: lanes, ceilings: ceilings))
        try await fleet.add(placed)
        guard let signature = placed.anyWork?.signature ?? reference?.signature else {
            fleet.remove(placed)
            throw ApusError(.deviceUnavailable, "the device was lost as soon as it had the model", place: name)
        }
        return ReadyTensorModel(placed, signature, precision: file.precision)
    }

    /// What the graph as it is written, without the engine's optimisations, computes on the CPU. Nil, which is logged, where it does not run there. Throws
    /// `unsupported_model`.
    private func reference(_ file: ONNXFile, _ name: String) async throws(ApusError) -> TensorReference? {
        do throws(ApusError) {
            return try await withReferenceExecutor { executor throws(ApusError) in
                let model = try await executor.load(LoadRequest(name: name, source: .file(file.path), optimization: .none))
                let work = try TensorWork(model, name: name)
                let before = try await executor.memory()
                let answer = try await executor.prepare { () throws(ApusError) in try TensorAnswer.compute(work) }
                let after = try await executor.memory()
                return TensorReference(
                    signature: work.signature, answer: answer, itemBytes: max(0, after.maxAllocatedBytes - before.allocatedBytes))
            }
        } catch {
            guard error.code != .unsupportedModel else { throw error }
            logger.warning("\(name) has no reference, a device proves it by batches that compute what single items do: \(error)")
            return nil
        }
    }
}

/// What a tensor model's plain graph computes, and in how much memory.
private struct TensorReference {
    let signature: TensorSignature
    let answer: TensorAnswer
    /// Bytes that one item was computed in.
    let itemBytes: Int
}
