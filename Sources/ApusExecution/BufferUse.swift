/// How often storage of tensors was used again, and what is kept of it.
package struct BufferUse: Sendable, Equatable {
    /// Tensors that were given used storage.
    package var hits: Int
    /// Tensors that were given new storage although they are large enough for used one.
    package var misses: Int
    /// Bytes kept now for later tensors.
    package var heldBytes: Int
    /// Bytes that were kept and given back since nothing needed them.
    package var trimmedBytes: Int

    package init(hits: Int = 0, misses: Int = 0, heldBytes: Int = 0, trimmedBytes: Int = 0) {
        self.hits = hits
        self.misses = misses
        self.heldBytes = heldBytes
        self.trimmedBytes = trimmedBytes
    }

    /// That of several pools. Counts wrap no sooner than those of one pool would.
    package static func + (first: BufferUse, second: BufferUse) -> BufferUse {
        BufferUse(
            hits: first.hits &+ second.hits, misses: first.misses &+ second.misses, heldBytes: first.heldBytes &+ second.heldBytes,
            trimmedBytes: first.trimmedBytes &+ second.trimmedBytes)
    }
}
