import ApusBatching
import ApusErrors
import ApusExecution
import ApusGraph
import ApusScheduling
import ApusTensor

/// One text on its way through the scheduler.
struct ScheduledText: BatchInput {
    let sequence: EncoderBatch.Sequence

    var tokens: Int { sequence.ids.count }
    var identity: Int? { nil }
}

/// The model of one device.
struct ScheduledModel: BatchWork {
    let model: any LoadedModel
    let conventions: EncoderConventions

    func run(_ inputs: [ScheduledText]) throws(ApusError) -> [Float] {
        let batch = EncoderBatch(inputs.map(\.sequence))
        let output = try model.run(batch.tensors(for: model.inputs, conventions), output: 0, memory: .kept)
        guard let values = output.float32, values.count % inputs.count == 0 else {
            throw ApusError(.engineFailure, "the model gave \(output.count) numbers for \(inputs.count) texts")
        }
        let width = values.count / inputs.count
        return inputs.indices.map { values[$0 * width] }
    }
}

/// Texts through one scheduler onto devices of a model each.
enum ScheduledRun {
    /// Seconds that all texts took.
    static func seconds(_ workload: Workload, on runners: [Runner]) async throws -> Double {
        let scheduler = BatchScheduler<ScheduledModel>(
            model: "model", policy: try BatchPolicy(maxQueue: .seconds(3600), maxQueuedTokens: 1 << 30), metrics: BatchMetrics(model: "model"))
        for runner in runners {
            scheduler.open(
                Replica(
                    executor: runner.executor, work: ScheduledModel(model: runner.model, conventions: workload.conventions), precision: .fp32))
        }
        let started = ContinuousClock.now
        let answers = try await scheduler.run(count: workload.sequences.count) { index throws(ApusError) in
            ScheduledText(sequence: workload.sequences[index])
        }
        let seconds = started.duration(to: .now) / .seconds(1)
        for row in answers.rows { _ = try row.get() }
        return seconds
    }
}
