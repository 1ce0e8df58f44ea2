package import ApusErrors

/// What a client asks for: the labels of texts or pairs of texts.
package struct ClassifyRequest: Sendable {
    package var model: String
    /// Texts and pairs.
    package var inputs: [EmbeddingInput]
    /// The most labels told for each input; nil for all.
    package var top: Int?
    package var numbers: AnsweredNumbers
    package var options: EmbeddingOptions

    package init(
        model: String, inputs: [EmbeddingInput], top: Int? = nil, numbers: AnsweredNumbers = .scores,
        options: EmbeddingOptions = EmbeddingOptions()
    ) {
        self.model = model
        self.inputs = inputs
        self.top = top
        self.numbers = numbers
        self.options = options
    }
}

package struct ClassifyReply: Sendable {
    package struct Prediction: Sendable, Equatable {
        package let label: String
        package let score: Float
    }

    package let model: ModelDescription
    /// For each input its labels, the best first; equal ones in the model's order. None for an input that failed.
    package let predictions: [[Prediction]]
    /// Inputs without labels: only where partial answers were asked for.
    package let failures: [Int: ApusError]
    package let provenance: [EmbeddingProvenance]
    package let summary: ProvenanceSummary
}

/// Texts to labels.
struct ClassifyOperation: Sendable {
    let runs: ModelRun

    /// The most scores of one request, of all inputs together: some 40 MB of JSON.
    private static let mostScores = 1 << 20

    func run(_ request: ClassifyRequest) async throws -> ClassifyReply {
        let model = try runs.model(named: request.model, for: .classify)
        let labels = model.description.labels
        try runs.checkCount(request.inputs.count, of: "input", for: "classify")
        let (scores, overflow) = request.inputs.count.multipliedReportingOverflow(by: labels.count)
        guard !overflow, scores <= Self.mostScores else {
            throw ApusError(
                .arrayTooLong, "\(request.inputs.count) inputs for \(labels.count) labels are more than the \(Self.mostScores) scores that one request may hold",
                place: "input", advice: "Send them in several requests")
        }
        let names = InputNames("input", "input", count: request.inputs.count)
        let outcome = try await runs.run(.init(inputs: request.inputs, names: names, options: request.options), on: model)
        let batch = outcome.batch
        guard batch.dimensions == labels.count else {
            throw ApusError(.internalError, "the model gave \(batch.dimensions) numbers for \(labels.count) labels")
        }
        let predictions = batch.rows.enumerated().map { row, logits -> [ClassifyReply.Prediction] in
            guard batch.failures[row] == nil else { return [] }
            let numbers = request.numbers == .logits ? Array(logits) : model.scores(of: logits)
            let order = numbers.indices.sorted { (numbers[$0], $1) > (numbers[$1], $0) }
            return order.prefix(request.top ?? .max).map { .init(label: labels[$0], score: numbers[$0]) }
        }
        return ClassifyReply(
            model: model.description, predictions: predictions, failures: batch.failures, provenance: batch.provenance,
            summary: outcome.summary)
    }
}
