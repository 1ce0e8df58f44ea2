import CApusProcess
package import ApusErrors
package import ApusExecution
import ApusTensor
import Foundation

/// Memory that front and worker share: the tensors of one lane, one step at a time.
///
/// Either side may make the file larger, neither can make it smaller (Linux seals it). Each side checks what it is told against its
/// own mapping, and against the file's size before it maps more.
package struct SharedRegion: ~Copyable {
    package let descriptor: Int32
    /// The most bytes that are ever mapped here.
    package let limit: Int
    private var mapping: UnsafeMutableRawBufferPointer

    /// Pages are taken when they are touched, so a generous start costs nothing.
    private static let smallest = 1 << 18
    /// Above this much, memory is worth giving back after a step that asks for it.
    private static let keptBytes = 1 << 22

    private init(owning descriptor: Int32, limit: Int) {
        self.descriptor = descriptor
        self.limit = limit
        mapping = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    package static func create(limit: Int) throws(ApusError) -> SharedRegion {
        let descriptor = apus_memory_create()
        guard descriptor >= 0 else { throw Self.refused("created", -descriptor) }
        var region = SharedRegion(owning: descriptor, limit: limit)
        try region.reserve(Self.smallest)
        return region
    }

    /// The other side's region; takes the descriptor over.
    package static func open(owning descriptor: Int32, limit: Int) throws(ApusError) -> SharedRegion {
        var region = SharedRegion(owning: descriptor, limit: limit)
        guard try region.reaches(Self.smallest) else { throw Self.refused("opened", EINVAL) }
        return region
    }

    deinit {
        if let address = mapping.baseAddress { munmap(address, mapping.count) }
        close(descriptor)
    }

    /// Bytes mapped.
    package var byteCount: Int { mapping.count }

    /// Makes the region hold `bytes`. Throws `out_of_memory` beyond ``limit``.
    package mutating func reserve(_ bytes: Int) throws(ApusError) {
        guard bytes > mapping.count else { return }
        guard bytes <= limit else {
            throw ApusError(
                .outOfMemory, "the tensors of a step take \(bytes) bytes, \(limit) may cross to a worker",
                advice: "Lower the batch token budget")
        }
        let size = Self.rounded(bytes, limit: limit)
        // The other side may have made it larger already, and it never shrinks.
        if try fileBytes() < size, ftruncate(descriptor, off_t(size)) != 0 { throw Self.refused("enlarged", errno) }
        try map(size)
    }

    /// Whether the region holds `bytes`, after looking whether the other side has made it larger.
    package mutating func reaches(_ bytes: Int) throws(ApusError) -> Bool {
        if bytes <= mapping.count { return true }
        guard bytes <= limit, try fileBytes() >= bytes else { return false }
        try map(min(try fileBytes(), limit))
        return true
    }

    /// Copies tensors in, one behind the other from the start, and says where they lie. Throws `out_of_memory` beyond ``limit`` and
    /// `engine_failure` for a tensor whose shape does not say how many elements it has.
    package mutating func place(_ tensors: [HostTensor]) throws(ApusError) -> [TensorPlacement] {
        var placements: [TensorPlacement] = []
        placements.reserveCapacity(tensors.count)
        var offset = 0
        for tensor in tensors {
            guard let placement = tensor.placement(at: offset), let next = placement.next else {
                throw ApusError(.engineFailure, "a tensor of \(tensor.count) elements cannot have the shape \(tensor.shape)")
            }
            placements.append(placement)
            offset = next
        }
        try reserve(offset)
        for (tensor, placement) in zip(tensors, placements) { copy(tensor, to: placement) }
        return placements
    }

    private borrowing func copy(_ tensor: HostTensor, to placement: TensorPlacement) {
        let place = UnsafeMutableRawBufferPointer(rebasing: mapping[placement.offset..<placement.end])
        switch tensor.elements {
        case .float32(let values): values.withUnsafeBytes(place.copyMemory)
        case .int32(let values): values.withUnsafeBytes(place.copyMemory)
        case .int64(let values): values.withUnsafeBytes(place.copyMemory)
        }
    }

    /// Copies a tensor out, into storage of `buffers`, which it is to be given back to; nil when it does not lie inside the region or is of a
    /// type that hosts do not take.
    package borrowing func read(_ placement: TensorPlacement, into buffers: SharedBuffers = .none) -> HostTensor? {
        guard placement.fits(mapping.count) else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: mapping[placement.offset..<placement.end])
        return buffers.tensor(placement.elementType, placement.shape, copying: bytes)
    }

    /// Gives pages back after a step much larger than usual.
    package borrowing func release() {
        guard let address = mapping.baseAddress, mapping.count > Self.keptBytes else { return }
        // A refusal leaves the pages where they are, which is no fault.
        _ = apus_memory_release(address, mapping.count)
    }

    private func fileBytes() throws(ApusError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.refused("measured", errno) }
        return Int(status.st_size)
    }

    private mutating func map(_ size: Int) throws(ApusError) {
        guard let address = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), address != MAP_FAILED else {
            throw Self.refused("mapped", errno)
        }
        if let old = mapping.baseAddress { munmap(old, mapping.count) }
        mapping = UnsafeMutableRawBufferPointer(start: address, count: size)
    }

    /// Powers of two, so that a step a little larger than the last does not map again.
    private static func rounded(_ bytes: Int, limit: Int) -> Int {
        var size = smallest
        while size < bytes && size <= limit / 2 { size *= 2 }
        return size < bytes ? limit : size
    }

    private static func refused(_ what: String, _ error: Int32) -> ApusError {
        ApusError(.outOfMemory, "memory shared with a worker cannot be \(what): \(String(cString: strerror(error)))")
    }
}
