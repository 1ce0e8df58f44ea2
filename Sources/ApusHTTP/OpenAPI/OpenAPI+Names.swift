extension OpenAPI {
    /// The schemas that others refer to.
    enum Name: String, CaseIterable {
        case error = "Error"
        case failure = "Failure"
        case usage = "Usage"
        case provenance = "Provenance"
        case embeddingsRequest = "EmbeddingsRequest"
        case embeddings = "Embeddings"
        case rerankRequest = "RerankRequest"
        case ranking = "Ranking"
        case classifyRequest = "ClassifyRequest"
        case classifications = "Classifications"
        case similarityRequest = "SimilarityRequest"
        case similarity = "Similarity"
        case model = "Model"
        case modelState = "ModelState"
        case device = "Device"
        case deviceMemory = "DeviceMemory"
        case gpu = "GPU"
        case plan = "Plan"
        case profileRequest = "ProfileRequest"
        case collectionRequest = "CollectionRequest"
        case collection = "Collection"
        case documentsRequest = "DocumentsRequest"
        case document = "Document"
        case deleteRequest = "DeleteRequest"
        case searchRequest = "SearchRequest"
        case hits = "Hits"
        case metadata = "Metadata"
        case filter = "Filter"
    }
}

extension OpenAPI.Document {
    func schema(_ name: OpenAPI.Name) -> OpenAPI.Schema {
        switch name {
        case .error: .object(["error": .named(.failure)])
        case .failure:
            .object(
                [
                    "message": .string("What went wrong and what to do, for a person"),
                    "type": .choice(["invalid_request_error", "server_error"], "The latter from status 500 on"),
                    "param": .string("The member of the request that is to blame").orNull,
                    "code": .string("What went wrong, for a program"),
                ])
        case .usage: .object(["prompt_tokens": .integer(from: 0), "total_tokens": .integer(from: 0)])
        case .provenance: provenance
        case .embeddingsRequest: embeddingsRequest
        case .embeddings: embeddingsAnswer
        case .rerankRequest: rerankRequest
        case .ranking: ranking
        case .classifyRequest: classifyRequest
        case .classifications: classifications
        case .similarityRequest: similarityRequest
        case .similarity: similarityAnswer
        case .model: model
        case .modelState: modelState
        case .device: device
        case .deviceMemory: deviceMemory
        case .gpu: gpu
        case .plan: plan
        case .profileRequest: .object(["steps": .integer("Steps to take down", from: 1, to: 1000)])
        case .collectionRequest: collectionRequest
        case .collection: collection
        case .documentsRequest: documentsRequest
        case .document: document
        case .deleteRequest: deleteRequest
        case .searchRequest: searchRequest
        case .hits: hits
        case .metadata: .members("null, booleans, numbers, strings, lists of those, and objects of all of it, 8 deep and 64 KiB at most")
        case .filter: .members("What documents must be like, by their metadata: see the README")
        }
    }
}
