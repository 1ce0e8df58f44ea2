import ApusErrors
package import ApusStores
import ApusVectors

/// What a client asks for: the documents of a collection that are nearest to texts or vectors.
package struct SearchRequest: Sendable {
    package enum Queries: Sendable {
        case texts([String])
        case vectors([[Float]])

        var count: Int {
            switch self {
            case .texts(let texts): texts.count
            case .vectors(let vectors): vectors.count
            }
        }
    }

    package var collection: CollectionName
    package var queries: Queries
    package var k: Int
    package var filter: MetadataFilter?
    package var parts: DocumentParts
    package var options: EmbeddingOptions

    package init(
        collection: CollectionName, queries: Queries, k: Int = 10, filter: MetadataFilter? = nil, parts: DocumentParts = [.text, .metadata],
        options: EmbeddingOptions = EmbeddingOptions()
    ) {
        (self.collection, self.queries, self.k) = (collection, queries, k)
        (self.filter, self.parts, self.options) = (filter, parts, options)
    }
}

package struct SearchReply: Sendable {
    /// For each query its hits, the best first.
    package let hits: [[CollectionHit]]
    /// The model that made vectors of the queries; nil where they were vectors.
    package let model: ModelDescription?
    /// One account for each query that was embedded.
    package let provenance: [EmbeddingProvenance]
    package let summary: ProvenanceSummary
}

/// Texts or vectors to the nearest documents.
struct SearchOperation: Sendable {
    let run: CollectionRun

    /// Hits up to which documents come with the search itself: at most some 128 MiB. More are fetched portion by portion.
    private static let hitsAtOnce = 128

    func run(_ request: SearchRequest) async throws -> SearchReply {
        let name = request.collection
        try check(request)
        let settings = try await run.run(.search, until: request.options.deadline) { try await $0.describe(name) }.settings
        let rows: VectorRows
        var model: (any EmbeddingModel)?
        var outcome: ModelRun.Outcome?
        switch request.queries {
        case .texts(let texts):
            let made = try run.model(of: settings, name, place: "query")
            let names = InputNames([.init(field: "query", noun: "query", count: texts.count, isSingle: texts.count == 1)])
            let embedded = try await run.vectors(of: texts, names, by: made, dimensions: settings.dimensions, request.options)
            rows = try VectorRows(embedded.batch.vectors, dimensions: settings.dimensions)
            (model, outcome) = (made, embedded)
        case .vectors(let vectors):
            rows = try Self.rows(vectors, settings)
            try run.charge(request.options)
        }
        let hits = try await run.run(.search, through: run.searches, until: request.options.deadline) { store in
            let start = ContinuousClock.now
            let hits = try await search(rows, request, in: store)
            run.metrics.searched(queries: rows.count, start.duration(to: .now))
            return hits
        }
        return SearchReply(
            hits: hits, model: model?.description, provenance: outcome?.batch.provenance ?? [],
            summary: outcome?.summary ?? ProvenanceSummary([]))
    }

    private func check(_ request: SearchRequest) throws(ApusError) {
        let (limits, count) = (run.limits, request.queries.count)
        let field = if case .texts = request.queries { "query" } else { "vector" }
        guard count > 0 else { throw ApusError(.emptyInput, "there is nothing to search for", place: field) }
        guard count <= limits.maxQueries else {
            throw ApusError(
                .arrayTooLong, "\(count) queries are more than the \(limits.maxQueries) that one search may have", place: field,
                advice: "Send them in several requests")
        }
        guard (1...limits.maxK).contains(request.k) else {
            throw ApusError(.invalidValue, "\(request.k) is outside 1 to \(limits.maxK)", place: "k")
        }
        guard request.k * count <= limits.maxHits else {
            throw ApusError(
                .invalidValue, "\(request.k) hits for each of \(count) queries are more than the \(limits.maxHits) that one search may have",
                place: "k", advice: "Ask for fewer, or send the queries in several requests")
        }
        guard case .texts(let texts) = request.queries else { return }
        for (index, text) in texts.enumerated() {
            try run.runs.check(
                text, named: count == 1 ? "the query" : "query \(index)", at: count == 1 ? "query" : "query[\(index)]")
        }
    }

    private static func rows(_ vectors: [[Float]], _ settings: CollectionSettings) throws(ApusError) -> VectorRows {
        for (index, vector) in vectors.enumerated() {
            let place = vectors.count == 1 ? "vector" : "vector[\(index)]"
            guard vector.count == settings.dimensions else {
                throw ApusError(
                    .invalidValue, "the vector has \(vector.count) dimensions, those of the collection have \(settings.dimensions)", place: place)
            }
            guard vector.allSatisfy(\.isFinite) else {
                throw ApusError(.invalidValue, "the vector has an element that is beyond a 32-bit float", place: place)
            }
        }
        return try VectorRows(Array(vectors.joined()), dimensions: settings.dimensions)
    }

    /// Where many hits are wanted, their texts and metadata are those of a moment after the search, and what was deleted in between is
    /// left out.
    private func search(_ rows: VectorRows, _ request: SearchRequest, in store: any CollectionStore) async throws -> [[CollectionHit]] {
        let isWhole = request.parts.isEmpty || request.k * rows.count <= Self.hitsAtOnce
        let hits = try await store.search(
            CollectionSearch(rows, k: request.k, filter: request.filter, parts: isWhole ? request.parts : []), in: request.collection)
        if isWhole { return hits }
        var bytes = 0
        var filled: [[CollectionHit]] = []
        for list in hits {
            var whole: [CollectionHit] = []
            for start in stride(from: 0, to: list.count, by: Self.hitsAtOnce) {
                let part = list[start..<min(start + Self.hitsAtOnce, list.count)]
                let documents = try await store.documents(part.map(\.document.id), of: request.collection, including: request.parts)
                for (hit, document) in zip(part, documents) {
                    guard let document else { continue }
                    bytes += document.bytes
                    whole.append(CollectionHit(document: document, score: hit.score))
                }
                guard bytes <= run.limits.maxAnswerBytes else {
                    throw ApusError(
                        .invalidValue, "what is asked of the hits comes to more than \(run.limits.maxAnswerBytes) bytes", place: "k",
                        advice: "Ask for fewer hits, or include less of them")
                }
            }
            filled.append(whole)
        }
        return filled
    }
}
