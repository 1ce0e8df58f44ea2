package import ApusErrors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A regular file mapped read-only into memory, unmapped with the last reference.
///
/// Pages are shared with every other process that maps the file and enter memory when they are touched. A file that another program
/// shortens while it is mapped kills the process that touches the missing pages (SIGBUS); model files are to be replaced, not rewritten.
package final class MappedFile: @unchecked Sendable {
    // Unchecked because of `bytes`, a pointer: the memory is never written, and stays until `deinit`.

    package let path: String
    /// The whole file; valid as long as this object lives.
    package let bytes: UnsafeRawBufferPointer

    /// - Throws: `.fileUnreadable` when the file cannot be opened, is not regular, or cannot be mapped.
    package init(path: String) throws(ApusError) {
        let file = try RegularFile.open(path)
        self.path = path
        guard file.byteCount > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let address = mmap(nil, file.byteCount, PROT_READ, MAP_PRIVATE, file.descriptor, 0), address != MAP_FAILED else {
            throw ApusError(.fileUnreadable, "the file cannot be mapped: \(String(cString: strerror(errno)))", place: path)
        }
        bytes = UnsafeRawBufferPointer(start: address, count: file.byteCount)
    }

    /// Gives the pages back that were touched so far; they return from the file when they are touched again.
    package func releasePages() {
        if let address = bytes.baseAddress {
            madvise(UnsafeMutableRawPointer(mutating: address), bytes.count, MADV_DONTNEED)
        }
    }

    /// The same for the pages that lie wholly within `part`, which must be a part of ``bytes``.
    func releasePages(of part: UnsafeRawBufferPointer) {
        guard let start = part.baseAddress, let whole = bytes.baseAddress else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let offset = start - whole
        let first = (offset + page - 1) / page * page
        let end = (offset + part.count) / page * page
        guard page > 0, first >= 0, first < end, end <= bytes.count else { return }
        madvise(UnsafeMutableRawPointer(mutating: whole + first), end - first, MADV_DONTNEED)
    }

    deinit {
        if let address = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
        }
    }
}
