import ApusErrors
import ApusExecution

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Zeroed memory of whole pages, which returns to the system with the last reference. Written by whoever makes it, then only read.
final class HostBlock: ResidentStorage, @unchecked Sendable {
    // Unchecked because of `address`: nothing writes once the block is handed out.

    let address: UnsafeMutableRawPointer
    private let byteCount: Int

    /// - Throws: `unsupported_model` for no bytes, `out_of_memory`.
    init(byteCount: Int, name: String) throws(ApusError) {
        guard byteCount > 0 else {
            throw ApusError(.unsupportedModel, "the kernels do not take a tensor of this size", place: name)
        }
        guard let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0), address != MAP_FAILED else {
            throw ApusError(.outOfMemory, "there is no memory for the \(byteCount) bytes of a tensor", place: name)
        }
        self.address = address
        self.byteCount = byteCount
    }

    var residentBytes: Int { byteCount }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: address, count: byteCount) }

    /// Copies `source` to `offset`, as much of it as the block has room for.
    func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
        guard offset >= 0, offset < byteCount else { return }
        UnsafeMutableRawBufferPointer(start: address + offset, count: byteCount - offset)
            .copyBytes(from: source.prefix(byteCount - offset))
    }

    deinit {
        munmap(address, byteCount)
    }
}
