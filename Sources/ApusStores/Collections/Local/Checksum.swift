import CApusKernels

/// CRC-32C over several parts.
struct Checksum: Sendable {
    private(set) var value: UInt32 = 0

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        value = apus_crc32c(value, base, Int64(bytes.count))
    }

    mutating func add(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { add($0) }
    }

    /// That of what a document has beside its vector.
    static func document(id: [UInt8], text: [UInt8]?, metadata: [UInt8]) -> UInt32 {
        var checksum = Checksum()
        checksum.add(id)
        if let text { checksum.add(text) }
        checksum.add(metadata)
        return checksum.value
    }
}
