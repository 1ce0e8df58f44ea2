import CApusKernels
import Testing

@Suite(.serialized) struct LinearBlobTests {
    @Test func sizesThatCannotBeAreRefused() {
        for format in formats {
            for (n, k): (Int64, Int64) in [(0, 1), (1, 0), (-1, 4), (.max, .max), (1 << 40, 1 << 40), (.min, 1), (3, .max)] {
                #expect(apus_linear_bytes(format, n, k) == 0)
            }
        }
        #expect(apus_linear_bytes(apus_format(9), 4, 4) == 0)
    }

    /// A byte for each weight, and four for the scale of 32.
    @Test func int8BlobsTakeNineThirtySecondsOfFp32() {
        let fp32 = apus_linear_bytes(APUS_FORMAT_FP32, 1536, 384), int8 = apus_linear_bytes(APUS_FORMAT_INT8, 1536, 384)
        #expect(fp32 == 64 + 1536 * 384 * 4)
        #expect(int8 == 64 + 1536 * 384 + 1536 * 384 / 32 * 4)
    }

    @Test(arguments: formats)
    func damagedBlobsAreRefused(format: apus_format) throws {
        var noise = Noise(3)
        let blob = try packedLinear(format, n: 70, k: 33, noise.floats(70 * 33))
        var n: Int64 = 0, k: Int64 = 0
        #expect(apus_linear_check(blob.base, blob.count, &n, &k) == APUS_OK)
        #expect(n == 70 && k == 33)
        #expect(apus_linear_check(blob.base, blob.count - 1, nil, nil) == APUS_BAD_BLOB)
        #expect(apus_linear_check(blob.base, blob.count + 64, nil, nil) == APUS_BAD_BLOB)
        #expect(apus_linear_check(blob.base, 63, nil, nil) == APUS_BAD_BLOB)
        #expect(apus_linear_check(blob.base + 4, blob.count - 4, nil, nil) == APUS_BAD_BLOB)
        var y = [Float](repeating: 0, count: 70)
        let scratch = KernelMemory(count: apus_linear_scratch(blob.base, 1))
        // Magic, version, format, layout, n, k and the size, in the order of the header.
        for byte in [0, 7, 8, 12, 16, 24, 31, 32, 39, 40, 47] {
            let kept = blob.base.load(fromByteOffset: byte, as: UInt8.self)
            blob.base.storeBytes(of: kept ^ 0x55, toByteOffset: byte, as: UInt8.self)
            #expect(apus_linear_check(blob.base, blob.count, nil, nil) == APUS_BAD_BLOB, "byte \(byte)")
            #expect(apus_linear_scratch(blob.base, 1) == 0, "byte \(byte)")
            #expect(apus_linear(blob.base, nil, APUS_ACT_NONE, y, 1, &y, scratch.base) == APUS_BAD_BLOB, "byte \(byte)")
            blob.base.storeBytes(of: kept, toByteOffset: byte, as: UInt8.self)
        }
        #expect(apus_linear_check(blob.base, blob.count, nil, nil) == APUS_OK)
    }

    @Test func rowsOutsideAWeightAreRefused() throws {
        let blob = try packedLinear(APUS_FORMAT_INT8, n: 5, k: 3, [Float](repeating: 1, count: 15))
        let rows = [Float](repeating: 1, count: 30)
        for (first, count): (Int64, Int64) in [(-1, 1), (0, 6), (5, 1), (4, 2), (.max, 1), (1, .max), (0, -1)] {
            #expect(apus_linear_pack_rows(blob.base, first, count, rows) == APUS_BAD_ARGUMENT)
        }
        let floats = try packedLinear(APUS_FORMAT_FP32, n: 5, k: 3, [Float](repeating: 1, count: 15))
        #expect(apus_linear_pack_int8_rows(floats.base, 0, 1, [1, 2, 3], [1]) == APUS_BAD_ARGUMENT)
    }

    @Test(arguments: formats)
    func weightsThatAreNotFiniteAreRefused(format: apus_format) throws {
        let blob = try packedLinear(format, n: 2, k: 3, [Float](repeating: 1, count: 6))
        let table = KernelMemory(count: apus_table_bytes(format, 2, 3))
        #expect(apus_table_begin(format, 2, 3, table.base) == APUS_OK)
        for wrong: Float in [.nan, .infinity, -.infinity] {
            #expect(apus_linear_pack_rows(blob.base, 0, 2, [1, 2, 3, 4, wrong, 6]) == APUS_BAD_ARGUMENT)
            #expect(apus_table_pack_rows(table.base, 0, 2, [1, 2, 3, 4, wrong, 6]) == APUS_BAD_ARGUMENT)
            if format == APUS_FORMAT_INT8 {
                #expect(apus_linear_pack_int8_rows(blob.base, 0, 2, [1, 2, 3, 4, 5, 6], [1, wrong]) == APUS_BAD_ARGUMENT)
            }
        }
        #expect(apus_linear_pack_rows(blob.base, 0, 2, [1, 2, 3, 4, 5, 6]) == APUS_OK)
        #expect(apus_table_pack_rows(table.base, 0, 2, [1, 2, 3, 4, 5, 6]) == APUS_OK)
    }
}
