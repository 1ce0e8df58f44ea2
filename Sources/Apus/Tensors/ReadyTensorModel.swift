import ApusErrors
import ApusScheduling
import ApusTensor

/// A model of any tensors that was loaded and proved itself.
struct ReadyTensorModel: Sendable {
    let name: String
    let signature: TensorSignature
    /// What its weights are stored in.
    let precision: Precision
    let scheduler: BatchScheduler<TensorWork>
    private let placed: PlacedModel<TensorRecipe>

    init(_ placed: PlacedModel<TensorRecipe>, _ signature: TensorSignature, precision: Precision) {
        self.placed = placed
        self.signature = signature
        self.precision = precision
        name = placed.name
        scheduler = placed.scheduler
    }

    /// The lowest cosine of the latest proof, by device.
    var cosines: [DeviceID: Double] { placed.cosines }

    /// Runs items, given by their tensors' names, in shared batches; the results come in their order. Throws `invalid_value` for tensors that are
    /// not the model's, and what ``BatchScheduler/run(count:_:_:)`` throws.
    func run(_ items: [[String: Tensor]], _ options: BatchOptions) async throws(ApusError) -> [Result<[String: Tensor], ApusError>] {
        var results: [Result<[String: Tensor], ApusError>] = []
        results.reserveCapacity(items.count)
        for start in stride(from: 0, to: items.count, by: Self.window) {
            let window = items[start..<min(start + Self.window, items.count)]
            let answers = try await scheduler.run(count: window.count, options) { row throws(ApusError) in
                try signature.item(window[start + row], place: items.count == 1 ? "inputs" : "inputs[\(start + row)]")
            }
            results += answers.rows.map { row in row.map(signature.named) }
        }
        return results
    }

    /// Items in flight at once: enough for full batches, few enough that any number of items fits into the queue.
    private static let window = 1024
}
