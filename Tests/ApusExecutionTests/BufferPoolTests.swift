import ApusExecution
import ApusTensor
import Testing

@Suite struct BufferPoolTests {
    private static let large = BufferPool.leastBytes / MemoryLayout<Float>.stride

    private func tensor(_ pool: inout BufferPool, _ values: [Float]) throws -> HostTensor {
        let copied = values.withUnsafeBytes { pool.tensor(.float32, [values.count], copying: $0) }
        return try #require(copied)
    }

    private func address(_ tensor: HostTensor) -> UInt? {
        tensor.float32?.withUnsafeBufferPointer { $0.baseAddress.map { UInt(bitPattern: $0) } }
    }

    @Test func `The storage of a recycled tensor is that of the next one of its class`() throws {
        var pool = BufferPool()
        let place: UInt?
        do {
            let first = try tensor(&pool, [Float](repeating: 1, count: Self.large + 1))
            place = address(first)
            pool.recycle(first)
        }
        #expect(pool.heldBytes == BufferPool.sizeClass(4 * (Self.large + 1)))
        let values = (0..<Self.large + 50).map(Float.init)
        let second = try tensor(&pool, values)
        #expect(address(second) == place)
        #expect(second == HostTensor([values.count], .float32(values)))
        #expect(pool.reuses == 1 && pool.allocations == 1 && pool.heldBytes == 0)
    }

    @Test func `A tensor that is still held elsewhere keeps its values`() throws {
        var pool = BufferPool()
        let first = try tensor(&pool, [Float](repeating: 1, count: Self.large))
        pool.recycle(first)
        let second = try tensor(&pool, [Float](repeating: 2, count: Self.large))
        #expect(first.float32?.allSatisfy { $0 == 1 } == true)
        #expect(second.float32?.allSatisfy { $0 == 2 } == true)
    }

    @Test func `Small tensors and other types pass through`() throws {
        var pool = BufferPool()
        let small = try tensor(&pool, [1, 2, 3])
        pool.recycle(small)
        #expect(small == HostTensor([3], .float32([1, 2, 3])))
        let numbers: [Int64] = [-1, .max]
        #expect(numbers.withUnsafeBytes { pool.tensor(.int64, [2], copying: $0) } == HostTensor([2], .int64(numbers)))
        #expect(numbers.withUnsafeBytes { pool.tensor(.float16, [8], copying: $0) } == nil)
        #expect(pool.reuses == 0 && pool.allocations == 0 && pool.heldBytes == 0)
        #expect(try tensor(&pool, []) == HostTensor([0], .float32([])))
    }

    @Test func `No more is kept than the limit, and nothing after a trim`() throws {
        var pool = BufferPool(limit: BufferPool.leastBytes)
        for _ in 0..<3 { pool.recycle(HostTensor([Self.large], .float32([Float](repeating: 0, count: Self.large)))) }
        #expect(pool.heldBytes == BufferPool.leastBytes)
        pool.trim()
        #expect(pool.heldBytes == 0)
        _ = try tensor(&pool, [Float](repeating: 1, count: Self.large))
        #expect(pool.reuses == 0 && pool.allocations == 1)
    }

    @Test func `A class has room for its sizes and wastes at most a fifth`() {
        for bytes in [1, 4, 5, 1023, 1024, 1025, 1_048_577, 19_267_584, 1 << 40, (1 << 40) + 1] {
            let size = BufferPool.sizeClass(bytes)
            #expect(size >= bytes && BufferPool.sizeClass(size) == size)
            #expect(bytes <= 4 || Double(size - bytes) <= Double(size) / 5, "\(size) for \(bytes)")
        }
        #expect(BufferPool.sizeClass(.max) >= .max - 1 && BufferPool.sizeClass(0) == 0)
    }
}
