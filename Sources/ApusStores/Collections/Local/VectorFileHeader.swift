import ApusVectors

/// The first bytes of a vector file, little-endian: what it is and how its rows are laid out, and a checksum of that.
struct VectorFileHeader: Sendable {
    let bytes: [UInt8]

    static let byteCount = 40

    init(_ format: VectorFormat, generation: Int64) {
        var bytes = Array("APUSVECS".utf8)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        append(Self.version)
        append(Int32(format.dimensions))
        append(Self.number(of: format.storage))
        append(Int32(format.keepsExactRows ? 1 : 0))
        append(generation)
        append(UInt32(0))
        var checksum = Checksum()
        checksum.add(bytes)
        append(checksum.value)
        self.bytes = bytes
    }

    private static let version = Int32(1)

    private static func number(of storage: VectorStorage) -> Int32 {
        switch storage {
        case .fp32: 0
        case .fp16: 1
        case .bf16: 2
        case .int8: 3
        }
    }
}
