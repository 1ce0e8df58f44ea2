import ApusErrors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file being written under a temporary name, which takes its own name when it is whole; removed when it goes out of scope before.
struct NewFile: ~Copyable {
    let path: String
    private let temporaryPath: String
    private let descriptor: Int32
    private var isFinished = false

    /// - Throws: `.fileUnwritable`.
    init(path: String) throws(ApusError) {
        self.path = path
        temporaryPath = "\(path).\(getpid()).partial"
        #if canImport(Glibc)
            descriptor = Glibc.open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        #elseif canImport(Musl)
            descriptor = Musl.open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        #else
            descriptor = Darwin.open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        #endif
        guard descriptor >= 0 else { throw Self.failure("cannot be created", path) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !isFinished { unlink(temporaryPath) }
    }

    /// - Throws: `.fileUnwritable`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(ApusError) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + written))
            if count > 0 {
                written += count
            } else if count == 0 || errno != EINTR {
                throw Self.failure("cannot be written", path)
            }
        }
    }

    /// Gives the file its name, once its bytes are on the disk.
    /// - Throws: `.fileUnwritable`.
    consuming func finish() throws(ApusError) {
        guard fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else { throw Self.failure("cannot be finished", path) }
        isFinished = true
    }

    private static func failure(_ what: String, _ path: String) -> ApusError {
        ApusError(.fileUnwritable, "the file \(what): \(String(cString: strerror(errno)))", place: path)
    }
}
