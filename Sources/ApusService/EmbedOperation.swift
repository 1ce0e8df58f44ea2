import ApusErrors

/// Texts to vectors, cut to the wanted length.
struct EmbedOperation: Sendable {
    let runs: ModelRun

    func run(_ request: EmbedRequest) async throws -> EmbedReply {
        let model = try runs.model(named: request.model, for: .embedding)
        let description = model.description
        try runs.checkCount(request.inputs.count, of: "input", for: "embed")
        if let dimensions = request.dimensions {
            guard (1...max(1, description.dimensions)).contains(dimensions) else {
                throw ApusError(
                    .invalidValue, "\(dimensions) is outside 1 to \(description.dimensions), the length of this model's vectors",
                    place: "dimensions"
                )
            }
        }
        let names = InputNames("input", "input", count: request.inputs.count)
        let outcome = try await runs.run(
            .init(inputs: request.inputs, names: names, options: request.options, faults: request.faults), on: model)
        let cut = request.dimensions.map { outcome.batch.cut(to: $0) } ?? outcome.batch
        return EmbedReply(model: description, batch: cut, summary: outcome.summary)
    }
}
