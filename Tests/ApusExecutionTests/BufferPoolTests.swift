import ApusExecution
import ApusTensor
import Testing

@Suite struct BufferPoolTests {
    private static let large = BufferPool.leastBytes / MemoryLayout<Float>.stride

    private func filled(_ pool: inout BufferPool, _ values: [Float]) -> [Float] {
        var storage: [Float] = pool.storage(for: values.count)
        storage.append(contentsOf: values)
        return storage
    }

    private func address(_ values: [Float]) -> UInt? {
        values.withUnsafeBufferPointer { $0.baseAddress.map { UInt(bitPattern: $0) } }
    }

    @Test func `Recycled storage is that of the next tensor of its class, and empty`() {
        var pool = BufferPool()
        let place: UInt?
        do {
            let first = filled(&pool, [Float](repeating: 1, count: Self.large + 1))
            place = address(first)
            pool.recycle(first)
        }
        #expect(pool.use == BufferUse(misses: 1, heldBytes: BufferPool.sizeClass(4 * (Self.large + 1))))
        let values = (0..<Self.large + 50).map(Float.init)
        let second = filled(&pool, values)
        #expect(address(second) == place && second == values)
        #expect(pool.use == BufferUse(hits: 1, misses: 1))
    }

    @Test func `Element types do not share storage`() {
        var pool = BufferPool()
        pool.recycle(filled(&pool, [Float](repeating: 1, count: Self.large)))
        let integers: [Int32] = pool.storage(for: Self.large)
        let wide: [Int64] = pool.storage(for: Self.large)
        #expect(integers.isEmpty && wide.isEmpty && pool.use.hits == 0 && pool.use.misses == 3)
    }

    @Test func `Values that are still held elsewhere stay as they are`() {
        var pool = BufferPool()
        let first = filled(&pool, [Float](repeating: 1, count: Self.large))
        pool.recycle(first)
        let second = filled(&pool, [Float](repeating: 2, count: Self.large))
        #expect(first.allSatisfy { $0 == 1 } && second.allSatisfy { $0 == 2 })
    }

    @Test func `Small tensors and sizes that cannot be counted pass through`() {
        var pool = BufferPool()
        pool.recycle(filled(&pool, [1, 2, 3]))
        let none: [Float] = pool.storage(for: -1)
        #expect(none.isEmpty && pool.use == BufferUse())
    }

    @Test func `No more is kept than the limit, and nothing after a trim`() {
        var pool = BufferPool(limit: BufferPool.leastBytes)
        for _ in 0..<3 { pool.recycle([Float](repeating: 0, count: Self.large)) }
        #expect(pool.use.heldBytes == BufferPool.leastBytes)
        pool.trim()
        #expect(pool.use == BufferUse(trimmedBytes: BufferPool.leastBytes))
        _ = filled(&pool, [Float](repeating: 1, count: Self.large))
        #expect(pool.use.hits == 0 && pool.use.misses == 1)
    }

    @Test func `A look gives back what nothing has needed since the last, and leaves what a load uses`() {
        var pool = BufferPool()
        let size = BufferPool.sizeClass(4 * Self.large)
        func step(_ tensors: Int) {
            let taken = (0..<tensors).map { _ in filled(&pool, [Float](repeating: 0, count: Self.large)) }
            for tensor in taken { pool.recycle(tensor) }
        }
        step(5)
        pool.trimUnneeded()
        #expect(pool.use.heldBytes == 5 * size, "the burst was since the last look")
        step(2)
        step(1)
        pool.trimUnneeded()
        #expect(pool.use.heldBytes == 2 * size && pool.use.trimmedBytes == 3 * size, "never more than two were out at once")
        step(2)
        pool.trimUnneeded()
        #expect(pool.use.heldBytes == 2 * size)
        pool.trimUnneeded()
        #expect(pool.use.heldBytes == 0 && pool.use.trimmedBytes == 5 * size)
        #expect(pool.use.misses == 5 && pool.use.hits == 5)
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
