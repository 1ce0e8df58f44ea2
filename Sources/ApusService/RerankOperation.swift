package import ApusErrors

/// What a client asks for: how well documents fit a query.
package struct RerankRequest: Sendable {
    package var model: String
    package var query: String
    package var documents: [String]
    /// The most documents in the answer; nil for all.
    package var top: Int?
    package var numbers: AnsweredNumbers
    package var options: EmbeddingOptions

    package init(
        model: String, query: String, documents: [String], top: Int? = nil, numbers: AnsweredNumbers = .scores,
        options: EmbeddingOptions = EmbeddingOptions()
    ) {
        self.model = model
        self.query = query
        self.documents = documents
        self.top = top
        self.numbers = numbers
        self.options = options
    }
}

/// What of a classifier's answer a client is told.
package enum AnsweredNumbers: Sendable, Equatable {
    /// As the model's files say, mostly from 0 to 1.
    case scores
    /// What the network gives.
    case logits
}

package struct RerankReply: Sendable {
    package struct Result: Sendable, Equatable {
        /// The document's place in the request.
        package let index: Int
        package let score: Float
    }

    package let model: ModelDescription
    /// The best first; equal ones in the order of the request.
    package let results: [Result]
    /// Documents without a score, by their place in the request: only where partial answers were asked for.
    package let failures: [Int: ApusError]
    /// One account for each document, in the order of the request.
    package let provenance: [EmbeddingProvenance]
    package let summary: ProvenanceSummary
}

/// A query and documents to an order of the documents.
struct RerankOperation: Sendable {
    let runs: ModelRun

    func run(_ request: RerankRequest) async throws -> RerankReply {
        let model = try runs.model(named: request.model, for: .rerank)
        try runs.checkCount(request.documents.count, of: "documents", for: "rank")
        try runs.check(request.query, named: "the query", at: "query")
        let names = InputNames("documents", "document", count: request.documents.count)
        var faults: [Int: ApusError] = [:]
        for (index, document) in request.documents.enumerated() {
            do throws(ApusError) {
                try runs.check(document, named: names.name(index), at: names.element(index))
            } catch {
                faults[index] = error
                if !request.options.partial { break }
            }
        }
        let outcome = try await runs.run(
            .init(inputs: request.documents.map { .pair(request.query, $0) }, names: names, options: request.options, faults: faults), on: model)
        let batch = outcome.batch
        var results: [RerankReply.Result] = []
        for (row, logits) in batch.rows.enumerated() where batch.failures[row] == nil {
            let numbers = request.numbers == .logits ? Array(logits) : model.scores(of: logits)
            results.append(.init(index: row, score: numbers.first ?? 0))
        }
        results.sort { ($0.score, $1.index) > ($1.score, $0.index) }
        if let top = request.top { results = Array(results.prefix(max(0, top))) }
        return RerankReply(
            model: model.description, results: results, failures: batch.failures, provenance: batch.provenance, summary: outcome.summary)
    }
}
