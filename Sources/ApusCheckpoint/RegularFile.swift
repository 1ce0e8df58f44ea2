import ApusErrors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// An open regular file, read-only; closed when it goes out of scope.
///
/// Pipes, devices and folders are refused, and opening never waits for a pipe's other end.
struct RegularFile: ~Copyable {
    let path: String
    let byteCount: Int
    /// How many names the file has.
    let linkCount: Int
    let descriptor: Int32

    private init(path: String, byteCount: Int, linkCount: Int, descriptor: Int32) {
        self.path = path
        self.byteCount = byteCount
        self.linkCount = linkCount
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// - Throws: `.fileUnreadable` when it cannot be opened or is not a regular file.
    static func open(_ path: String) throws(ApusError) -> RegularFile {
        guard !path.utf8.contains(0) else {
            throw ApusError(.fileUnreadable, "a file name cannot hold a NUL", place: path.debugDescription)
        }
        #if canImport(Glibc)
            let descriptor = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        #elseif canImport(Musl)
            let descriptor = Musl.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        #else
            let descriptor = Darwin.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        #endif
        guard descriptor >= 0 else { throw failure("cannot be opened", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = failure("cannot be examined", path)
            close(descriptor)
            throw error
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw ApusError(.fileUnreadable, "this is not a regular file", place: path)
        }
        return RegularFile(
            path: path, byteCount: Int(status.st_size), linkCount: Int(status.st_nlink), descriptor: descriptor)
    }

    /// Reads up to `buffer.count` bytes from `offset`; fewer only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(ApusError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + filled))
            if count == 0 { break }
            if count > 0 {
                filled += count
            } else if errno != EINTR {
                throw Self.failure("cannot be read", path)
            }
        }
        return filled
    }

    /// The whole content of the file at `path`.
    /// - Throws: `.fileUnreadable`, also when there are more than `limit` bytes.
    static func contents(of path: String, limit: Int) throws(ApusError) -> [UInt8] {
        let file = try open(path)
        guard file.byteCount <= limit else {
            throw ApusError(
                .fileUnreadable, "the file has \(file.byteCount) bytes; at most \(limit) are read", place: path)
        }
        var bytes = [UInt8](repeating: 0, count: file.byteCount)
        // `withUnsafeMutableBytes` does not carry a typed error, a `Result` does.
        let result = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(ApusError) in try file.read(into: buffer, at: 0) }
        }
        bytes.removeLast(bytes.count - (try result.get()))
        return bytes
    }

    private static func failure(_ what: String, _ path: String) -> ApusError {
        ApusError(.fileUnreadable, "the file \(what): \(String(cString: strerror(errno)))", place: path)
    }
}
