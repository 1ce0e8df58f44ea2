import ApusErrors
import COnnxRuntime

/// Memory that tensors of one input are copied to before a device fetches them: as much as the largest of them asked for, in steps, so that
/// it is taken once and used again.
struct StagingBlock: ~Copyable {
    private let engine: Engine
    private let memory: HostMemoryOfDevice
    private(set) var address: UnsafeMutableRawPointer?
    private(set) var byteCount = 0

    /// Smaller tensors take this much.
    private static let leastBytes = 4096

    init(_ engine: Engine, _ memory: HostMemoryOfDevice) {
        self.engine = engine
        self.memory = memory
    }

    deinit {
        if let address { _ = try? engine.check(OrtAllocatorFree(engine.api, memory.allocator, address)) }
    }

    /// Copies `bytes` in and says where they lie. Throws `out_of_memory`.
    mutating func fill(_ bytes: UnsafeRawBufferPointer) throws(ApusError) -> UnsafeMutableRawPointer {
        if address == nil || byteCount < bytes.count {
            try release()
            let size = Self.size(for: bytes.count)
            var block: UnsafeMutableRawPointer?
            do throws(ApusError) {
                try engine.check(OrtAllocatorAlloc(engine.api, memory.allocator, size, &block))
            } catch {
                throw ApusError(.outOfMemory, "there are no \(size) bytes to stage a tensor in: \(error.message)")
            }
            guard let block else { throw ApusError(.outOfMemory, "there are no \(size) bytes to stage a tensor in") }
            address = block
            byteCount = size
        }
        guard let address else { throw ApusError(.engineFailure, "staging memory has no address") }
        if let source = bytes.baseAddress { address.copyMemory(from: source, byteCount: bytes.count) }
        return address
    }

    /// Gives the memory back; the next tensor takes new one.
    mutating func release() throws(ApusError) {
        guard let address else { return }
        self.address = nil
        byteCount = 0
        try engine.check(OrtAllocatorFree(engine.api, memory.allocator, address))
    }

    /// Powers of two, so that a tensor a little longer than the last takes nothing new.
    private static func size(for bytes: Int) -> Int {
        var size = leastBytes
        while size < bytes {
            let (double, overflow) = size.multipliedReportingOverflow(by: 2)
            if overflow { return bytes }
            size = double
        }
        return size
    }
}
