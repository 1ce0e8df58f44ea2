package import ApusVectors

/// What is looked for in a collection.
package struct CollectionSearch: Sendable {
    package var queries: VectorRows
    /// Documents wanted for each query, 1 to ``SearchLimits/maxK``.
    package var k: Int
    package var filter: MetadataFilter?
    /// What hits carry beside id and score.
    package var parts: DocumentParts

    package init(_ queries: VectorRows, k: Int = 10, filter: MetadataFilter? = nil, parts: DocumentParts = [.text, .metadata]) {
        (self.queries, self.k, self.filter, self.parts) = (queries, k, filter, parts)
    }
}

/// A document that was found.
package struct CollectionHit: Sendable {
    package var document: StoredDocument
    /// How near it is, higher is nearer; for ``VectorMetric/l2`` minus the squared distance.
    package var score: Float

    package init(document: StoredDocument, score: Float) {
        (self.document, self.score) = (document, score)
    }
}
