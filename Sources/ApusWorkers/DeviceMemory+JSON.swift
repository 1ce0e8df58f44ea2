package import ApusErrors
package import ApusExecution
package import ApusJSON

extension DeviceMemory {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("allocated", allocatedBytes)
        json.member("reserved", reservedBytes)
        json.member("max_allocated", maxAllocatedBytes)
        json.member("total", totalBytes)
        json.member("buffer_hits", buffers.hits)
        json.member("buffer_misses", buffers.misses)
        json.member("buffer_held", buffers.heldBytes)
        json.member("buffer_trimmed", buffers.trimmedBytes)
        json.member("layer_weights", weights.layers)
        json.member("embedding_weights", weights.embedding)
        json.member("head_weights", weights.head)
        json.member("mapped_weights", weights.mapped)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        func count(_ key: String) throws(ApusError) -> Int {
            let value = try json.integer(key)
            guard value >= 0 else { throw ApusError(json.code, "bytes and counts cannot be negative", place: json.place(of: key)) }
            return value
        }
        self.init(
            allocatedBytes: try count("allocated"), reservedBytes: try count("reserved"), maxAllocatedBytes: try count("max_allocated"),
            totalBytes: try count("total"),
            buffers: BufferUse(
                hits: try count("buffer_hits"), misses: try count("buffer_misses"), heldBytes: try count("buffer_held"),
                trimmedBytes: try count("buffer_trimmed")),
            weights: WeightBytes(
                layers: try count("layer_weights"), embedding: try count("embedding_weights"), head: try count("head_weights"),
                mapped: try count("mapped_weights")))
    }
}
