package import ApusTensor
import Crypto

/// What a text is cached under: the SHA-256 of the text and of everything else that its vector depends on.
///
/// Two texts share a key only if SHA-256 collides: by chance once in 2^223 for a cache of 100,000 entries, on purpose not at all as far as
/// is known. So equal keys are taken for equal texts, no text is kept in memory, and a second level may be shared under the same keys. A faster
/// keyed hash would have to keep its key from whoever chooses texts, and could not be shared.
package struct EmbeddingKey: Sendable, Hashable {
    private let words: SIMD4<UInt64>

    /// The digest, for stores outside the process.
    package var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0) } }

    package static let byteCount = 32

    init(_ digest: SHA256Digest) {
        words = digest.withUnsafeBytes { $0.loadUnaligned(as: SIMD4<UInt64>.self) }
    }

    /// The key that ``bytes`` gave; nil for another number of bytes.
    package init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == Self.byteCount else { return nil }
        words = bytes.withUnsafeBytes { $0.loadUnaligned(as: SIMD4<UInt64>.self) }
    }

    package func hash(into hasher: inout Hasher) {
        // The digest is uniform: a part of it is hash enough.
        hasher.combine(words[0])
    }
}

/// Everything but the text that a vector depends on. The number of dimensions does not belong to it: shorter vectors are cut from the whole
/// one.
package struct EmbeddingScope: Sendable {
    private let digest: SHA256

    /// - Parameters:
    ///   - weights: digest of the checkpoint's weights, so that a reload of the same file keeps what was cached.
    ///   - files: digest of the files that say how they are used: tokenizer, prompts, pooling.
    ///   - truncation: how over-long texts were treated and at how many tokens, in whatever spelling is the same for the same treatment.
    ///   - owner: whose entries these are, where one client must not learn by time what another asked for; empty when all share.
    package init(model: String, weights: String, files: String, precision: Precision, truncation: String, owner: String = "") {
        var digest = SHA256()
        digest.update(data: Array("apus embedding 1".utf8))
        // With its length before it no part can pass for another's end.
        for part in [model, weights, files, precision.rawValue, truncation, owner] { Self.add(Array(part.utf8), to: &digest) }
        self.digest = digest
    }

    /// Texts are compared by their UTF-8 bytes.
    package func key(text: String) -> EmbeddingKey {
        var text = text
        return text.withUTF8 { key(kind: 0, UnsafeRawBufferPointer($0)) }
    }

    /// The key of an input that is tokens already.
    package func key(tokens: [Int32]) -> EmbeddingKey {
        tokens.withUnsafeBytes { key(kind: 1, $0) }
    }

    private func key(kind: UInt8, _ bytes: UnsafeRawBufferPointer) -> EmbeddingKey {
        var digest = digest
        withUnsafeBytes(of: kind) { digest.update(bufferPointer: $0) }
        digest.update(bufferPointer: bytes)
        return EmbeddingKey(digest.finalize())
    }

    private static func add(_ part: [UInt8], to digest: inout SHA256) {
        withUnsafeBytes(of: UInt64(part.count).littleEndian) { digest.update(bufferPointer: $0) }
        digest.update(data: part)
    }
}
