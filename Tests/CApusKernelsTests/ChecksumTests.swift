import CApusKernels
import Testing

@Suite struct ChecksumTests {
    private static func checksum(_ bytes: [UInt8], after crc: UInt32 = 0, _ function: (UInt32, UnsafeRawPointer, Int64) -> UInt32) -> UInt32 {
        bytes.withUnsafeBytes { buffer in buffer.baseAddress.map { function(crc, $0, Int64(buffer.count)) } ?? crc }
    }

    @Test func `the checksum is CRC-32C`() {
        // RFC 3720, appendix B.4, and the check value of the polynomial.
        let cases: [([UInt8], UInt32)] = [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43), (Array(0..<32), 0x46DD_794E),
            ((0..<32).reversed().map { UInt8($0) }, 0x113F_DB5C), (Array("123456789".utf8), 0xE306_9283),
        ]
        for (bytes, expected) in cases {
            #expect(Self.checksum(bytes, apus_crc32c) == expected)
            #expect(Self.checksum(bytes, apus_crc32c_portable) == expected)
        }
    }

    @Test func `parts give what the whole gives, with and without the CPU's instruction`() {
        let bytes = (0..<1_000).map { UInt8(truncatingIfNeeded: $0 * $0 + 7) }
        let whole = Self.checksum(bytes, apus_crc32c)
        for cut in [0, 1, 7, 8, 9, 63, 500, 999, 1_000] {
            let first = Self.checksum(Array(bytes[..<cut]), apus_crc32c_portable)
            #expect(Self.checksum(Array(bytes[cut...]), after: first, apus_crc32c) == whole)
        }
    }
}
