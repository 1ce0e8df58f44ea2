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
/// | 24 | bytes of the devices' names |
/// | 25… | the devices' names in UTF-8, `cpu:0`, those of a group stage by stage with commas between them, then the vector as fp32 |
///
/// Entries of one device are what they were before there were groups; a program from before that reads a group's as one that is not there.
///
/// A part of a SHA-256 in place of a CRC, since the library that makes keys has it and it finds at least as much. The key belongs to what is
/// summed: an entry that came to stand in another's place is found, too.
extension CachedEmbedding {
    /// Nil for what cannot be written: a group whose names are too long together, of more than thirty devices.
    package func encoded(for key: EmbeddingKey) -> [UInt8]? {
        var body: [UInt8] = []
        let names = Array(devices.map(\.description).joined(separator: ",").utf8)
        guard let length = UInt8(exactly: names.count) else { return nil }
        body.reserveCapacity(13 + names.count + vector.count * 4)
        for number in [tokens, originalTokens, vector.count] {
            withUnsafeBytes(of: UInt32(clamping: number).littleEndian) { body.append(contentsOf: $0) }
        }
        body.append(length)
        body += names
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
            let devices = Self.devices(bytes[nameStart..<vectorStart])
        else { return nil }
        let vector = bytes.withUnsafeBytes { bytes in
            (0..<numbers[2]).map {
                Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: vectorStart + $0 * 4, as: UInt32.self)))
            }
        }
        guard vector.allSatisfy(\.isFinite) else { return nil }
        self.init(vector: vector, tokens: numbers[0], originalTokens: numbers[1], device: devices[0], group: devices.count > 1 ? devices : [])
    }

    /// Never empty; nil for anything but names with commas between them.
    private static func devices(_ names: ArraySlice<UInt8>) -> [DeviceID]? {
        var devices: [DeviceID] = []
        for name in names.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let device = DeviceID(String(decoding: name, as: UTF8.self)) else { return nil }
            devices.append(device)
        }
        return devices.isEmpty ? nil : devices
    }

    private static func checksum(_ key: EmbeddingKey, _ body: ArraySlice<UInt8>) -> [UInt8] {
        var digest = SHA256()
        digest.update(data: key.bytes)
        body.withUnsafeBytes { digest.update(bufferPointer: $0) }
        return Array(digest.finalize().prefix(checksumBytes))
    }

    private static let head = Array("AEV\u{1}".utf8)
    private static let checksumBytes = 8
    private static let mostElements = 1 << 20
}
