import ApusExecution
import ApusTensor
import Testing

@Suite struct SharedBuffersTests {
    private static let values = (0..<1000).map(Float.init)

    private func copied(_ buffers: SharedBuffers) throws -> HostTensor {
        let tensor = Self.values.withUnsafeBytes { buffers.tensor(.float32, [10, 100], copying: $0) }
        return try #require(tensor)
    }

    @Test func `Tensors are copies, and their storage comes back`() throws {
        let buffers = SharedBuffers()
        for step in 0..<3 {
            let tensor = try copied(buffers)
            #expect(tensor == HostTensor([10, 100], .float32(Self.values)))
            #expect(buffers.use.hits == step && buffers.use.misses == 1)
            buffers.recycle(tensor)
        }
        let numbers: [Int64] = [-1, .max]
        #expect(numbers.withUnsafeBytes { buffers.tensor(.int64, [2], copying: $0) } == HostTensor([2], .int64(numbers)))
        #expect(numbers.withUnsafeBytes { buffers.tensor(.float16, [8], copying: $0) } == nil)
        #expect(buffers.tensor(.float32, [0], copying: UnsafeRawBufferPointer(start: nil, count: 0)) == HostTensor([0], .float32([])))
    }

    @Test func `Looks that come too soon give nothing back`() throws {
        let buffers = SharedBuffers()
        buffers.recycle(try copied(buffers))
        let held = buffers.use.heldBytes
        let start = SharedBuffers.windowNanoseconds
        buffers.trimUnneeded(now: start)
        buffers.trimUnneeded(now: 2 * start - 1)
        #expect(held > 0 && buffers.use.heldBytes == held)
        buffers.trimUnneeded(now: 2 * start)
        #expect(buffers.use.heldBytes == 0 && buffers.use.trimmedBytes == held)
    }

    @Test func `Where nothing is kept, tensors are made all the same`() throws {
        let misses = SharedBuffers.none.use.misses
        for _ in 0..<2 { SharedBuffers.none.recycle(try copied(.none)) }
        #expect(SharedBuffers.none.use.heldBytes == 0 && SharedBuffers.none.use.hits == 0 && SharedBuffers.none.use.misses >= misses + 2)
    }
}
