import ApusErrors
import ApusVectors
import Foundation
import NIOConcurrencyHelpers

/// The vectors of a collection in one file: a header, then blocks that are mapped into memory, each twice as large as the one before until
/// they have 64 MiB.
///
/// The room of a block is reserved before it is mapped, so that a full disk is an error of the reservation and never a signal. Rows are
/// written through the mapping; whether they are what was written is told by checksums that the documents' database keeps.
final class VectorFile: Sendable {
    let path: String
    let generation: Int64
    let format: VectorFormat
    private let descriptor: Int32
    private let layout: BlockLayout
    private let mapped: NIOLockedValueBox<[VectorBlock]>
    private let access: VectorBlock.Access

    static let headerBytes = 4_096

    /// Makes a file without rows in place of any that has the name. Throws `store_unavailable`.
    init(creating path: String, generation: Int64, _ format: VectorFormat) throws(ApusError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreFailure.system("the file cannot be made", errno, path) }
        (self.path, self.generation, self.format, self.descriptor, access) = (path, generation, format, descriptor, .readWrite)
        layout = BlockLayout(format)
        mapped = NIOLockedValueBox([])
        var header = VectorFileHeader(format, generation: generation).bytes
        header += [UInt8](repeating: 0, count: Self.headerBytes - header.count)
        let written = header.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        guard written == header.count else { throw StoreFailure.system("the file cannot be written", written < 0 ? errno : ENOSPC, path) }
    }

    /// Opens a file and maps the blocks of its first `rows` rows. Throws `store_corrupt` when it is no such file or too short, and
    /// `store_unavailable`.
    init(
        opening path: String, generation: Int64, _ format: VectorFormat, rows: Int, _ access: VectorBlock.Access
    ) throws(ApusError) {
        let descriptor = open(path, (access == .readWrite ? O_RDWR : O_RDONLY) | O_CLOEXEC)
        guard descriptor >= 0 else {
            let failure = errno
            guard failure == ENOENT else { throw StoreFailure.system("the file cannot be opened", failure, path) }
            throw StoreFailure.corrupt("the file of the vectors is not there", path)
        }
        (self.path, self.generation, self.format, self.descriptor, self.access) = (path, generation, format, descriptor, access)
        layout = BlockLayout(format)
        mapped = NIOLockedValueBox([])
        var header = [UInt8](repeating: 0, count: VectorFileHeader.byteCount)
        let count = header.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == header.count, header == VectorFileHeader(format, generation: generation).bytes else {
            throw StoreFailure.corrupt("the file does not begin as the vectors of this collection do", path)
        }
        while capacity < rows { try mapNext(size: try size()) }
    }

    deinit {
        close(descriptor)
    }

    /// The blocks there are.
    var blocks: [VectorBlock] { mapped.withLockedValue { $0 } }

    /// Rows that the blocks have room for.
    var capacity: Int { mapped.withLockedValue { $0.reduce(0) { $0 + $1.capacity } } }

    /// Reserves and maps one more block. Throws `store_unavailable` where there is no room for it.
    func grow() throws(ApusError) -> VectorBlock {
        let count = mapped.withLockedValue { $0.count }
        let (offset, bytes) = try place(count)
        let before = try size()
        let failure = reserve(offset, bytes)
        guard failure == 0 else {
            if before < offset + bytes { _ = ftruncate(descriptor, off_t(before)) }
            throw StoreFailure.system("there is no room for \(bytes) more bytes of vectors", failure, path)
        }
        try mapNext(size: offset + bytes)
        return mapped.withLockedValue { $0[count] }
    }

    /// Returns when what was written is on the disk. Throws `store_unavailable`.
    func flush() throws(ApusError) {
        guard fdatasync(descriptor) == 0 else { throw StoreFailure.system("the vectors cannot be written", errno, path) }
    }

    /// The checksum of a row and what belongs to it.
    static func checksum(of row: Int, in block: VectorBlock) -> UInt32 {
        var checksum = Checksum()
        for range in block.byteRanges(of: row..<row + 1) { block.withBytes(range) { checksum.add($0) } }
        return checksum.value
    }

    /// What the file takes of the disk.
    var bytesOnDisk: Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return 0 }
        return Int(status.st_blocks) * 512
    }

    private func size() throws(ApusError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StoreFailure.system("the file cannot be read", errno, path) }
        return Int(status.st_size)
    }

    /// Offset and length of block `index`.
    private func place(_ index: Int) throws(ApusError) -> (offset: Int, bytes: Int) {
        var offset = Self.headerBytes
        for earlier in 0..<index { offset += try layout.bytes(earlier) }
        return (offset, try layout.bytes(index))
    }

    private func reserve(_ offset: Int, _ bytes: Int) -> Int32 {
        #if os(Linux)
            var result = EINTR
            while result == EINTR { result = posix_fallocate(descriptor, off_t(offset), off_t(bytes)) }
            return result
        #else
            return ftruncate(descriptor, off_t(offset + bytes)) == 0 ? 0 : errno
        #endif
    }

    private func mapNext(size: Int) throws(ApusError) {
        let index = mapped.withLockedValue { $0.count }
        let (offset, bytes) = try place(index)
        guard offset + bytes <= size else {
            throw StoreFailure.corrupt("the file has \(size) bytes, its rows need \(offset + bytes)", path)
        }
        let region = try MappedRegion(descriptor, offset: offset, bytes: bytes, access, path)
        let block = try VectorBlock(format, capacity: layout.capacity(index), mapped: region.buffer, access, owner: region)
        mapped.withLockedValue { $0.append(block) }
    }
}

/// How many rows each block of a file has.
struct BlockLayout: Sendable {
    private let format: VectorFormat
    private let first: Int
    private let largest: Int

    init(_ format: VectorFormat) {
        self.format = format
        first = max(64, (1 << 20) / format.bytesPerRow)
        largest = max(64, (64 << 20) / format.bytesPerRow)
    }

    func capacity(_ index: Int) -> Int {
        index < 7 ? min(largest, first << index) : largest
    }

    /// Bytes of block `index`, whole pages.
    func bytes(_ index: Int) throws(ApusError) -> Int {
        (try format.blockBytes(capacity: capacity(index)) + 4_095) & ~4_095
    }
}

/// A part of a file in memory.
private final class MappedRegion: @unchecked Sendable {
    // Not changed after the initialiser; who writes into it is VectorBlock's concern.
    let buffer: UnsafeMutableRawBufferPointer

    init(_ descriptor: Int32, offset: Int, bytes: Int, _ access: VectorBlock.Access, _ path: String) throws(ApusError) {
        let protection = access == .readWrite ? PROT_READ | PROT_WRITE : PROT_READ
        guard let base = mmap(nil, bytes, protection, MAP_SHARED, descriptor, off_t(offset)), base != MAP_FAILED else {
            throw StoreFailure.system("the vectors cannot be mapped into memory", errno, path)
        }
        buffer = UnsafeMutableRawBufferPointer(start: base, count: bytes)
    }

    deinit {
        munmap(buffer.baseAddress, buffer.count)
    }
}
