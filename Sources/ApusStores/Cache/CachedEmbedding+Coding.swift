import ApusTensor
package import ApusVectors
import Crypto

/// How an entry is written outside the process. Numbers are little-endian:
///
/// | bytes | what |
/// |---|---|
/// | 0…2 | `AEV` |
/// | 3 | version, 1 |
/// | 4…11 | checksum: the first 8 bytes of the SHA-256 of the key and of everything after the checksum |
/// | 12…23 | tokens, tokens before truncation, elements of the vector, 32 bits each |
/// | 24 | bytes of the device's name |
/// | 25… | the device's name in UTF-8, then the vector as fp32 |
///
/// A part of a SHA-256 in place of a CRC, since the library that makes keys has it and it finds at least as much. The key belongs to what is
/// summed: an entry that came to stand in another's place is found, too.
extension CachedEmbedding {
    package func encoded(for key: EmbeddingKey) -> [UInt8] {
        var body: [UInt8] = []
        let device = Array(device.description.utf8.prefix(Self.longestDevice))
        body.reserveCapacity(13 + device.count + vector.count * 4)
        for number in [tokens, originalTokens, vector.count] {
            withUnsafeBytes(of: UInt32(clamping: number).littleEndian) { body.append(contentsOf: $0) }
        }
        body.append(UInt8(device.count))
        body += device
        for element in vector { withUnsafeBytes(of: element.bitPattern.littleEndian) { body.append(contentsOf: $0) } }
        return Self.head + Self.checksum(key, body[...]) + body
    }

    /// Nil for anything that ``encoded(for:)`` does not write under that key.
    package init?(encoded bytes: [UInt8], for key: EmbeddingKey) {
        let start = Self.head.count + Self.checksumBytes
        guard bytes.count >= start + 13, bytes.starts(with: Self.head),
            bytes[Self.head.count..<start].elementsEqual(Self.checksum(key, bytes[start...]))
        else { return nil }
        let numbers = bytes.withUnsafeBytes { bytes in
            (0..<3).map { Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + $0 * 4, as: UInt32.self))) }
        }
        let nameStart = start + 13
        let vectorStart = nameStart + Int(bytes[start + 12])
        // Of 32 bits each, so that nothing overflows.
        guard numbers[2] <= Self.mostElements, bytes.count == vectorStart + numbers[2] * 4,
            let device = DeviceID(String(decoding: bytes[nameStart..<vectorStart], as: UTF8.self))
        else { return nil }
        let vector = bytes.withUnsafeBytes { bytes in
            (0..<numbers[2]).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: vectorStart + $0 * 4, as: UInt32.self)))
            }
        }
        guard vector.allSatisfy(\.isFinite) else { return nil }
        self.init(vector: vector, tokens: numbers[0], originalTokens: numbers[1], device: device)
    }

    private static func checksum(_ key: EmbeddingKey, _ body: ArraySlice<UInt8>) -> [UInt8] {
        var digest = SHA256()
        digest.update(data: key.bytes)
        body.withUnsafeBytes { digest.update(bufferPointer: $0) }
        return Array(digest.finalize().prefix(checksumBytes))
    }

    private static let head = Array("AEV\u{1}".utf8)
    private static let checksumBytes = 8
    private static let longestDevice = 64
    private static let mostElements = 1 << 20
}
