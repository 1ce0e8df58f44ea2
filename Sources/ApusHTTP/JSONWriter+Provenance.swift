import ApusErrors
import ApusJSON
import ApusService

extension JSONWriter {
    /// The member `usage` as OpenAI has it.
    mutating func usage(tokens: Int) {
        key("usage")
        beginObject()
        member("prompt_tokens", tokens)
        member("total_tokens", tokens)
        endObject()
    }

    /// The member `provenance`, one object for each input and null for one that failed.
    mutating func provenance(_ inputs: [EmbeddingProvenance], failures: [Int: ApusError]) {
        key("provenance")
        beginArray()
        for (row, input) in inputs.enumerated() {
            if failures[row] == nil { provenance(input) } else { null() }
        }
        endArray()
    }

    private mutating func provenance(_ input: EmbeddingProvenance) {
        beginObject()
        member("device", input.device)
        member("precision", input.precision)
        member("fallback", input.fallback.rawValue)
        member("batch_size", input.batchSize)
        member("padding", input.padding)
        member("cache", input.cache.rawValue)
        member("truncated", input.truncated)
        member("original_tokens", input.originalTokens)
        key("queue_ms")
        number(input.queueMilliseconds)
        key("run_ms")
        number(input.runMilliseconds)
        endObject()
    }
}

extension ProvenanceSummary {
    /// The headers that every answer of a model carries.
    /// - Parameter failures: inputs that failed alone; nil where none may.
    func headers(failures: Int?) -> [(String, String)] {
        let errors = failures.map { [("x-apus-errors", String($0))] } ?? []
        return errors + [
            ("x-apus-device", devices.joined(separator: ",")),
            ("x-apus-precision", precisions.joined(separator: ",")),
            ("x-apus-fallback", fallback.rawValue),
            ("x-apus-batch", String(batchSize)),
            ("x-apus-cache", "hit=\(cacheHits), miss=\(cacheMisses)"),
            ("x-apus-truncated", String(truncated)),
        ]
    }
}
