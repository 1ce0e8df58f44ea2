internal import ApusErrors

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

enum FileBytes {
    /// The whole file. By POSIX calls, because Foundation is a heavy import for one read.
    static func read(_ path: String) throws(ApusError) -> [UInt8] {
        guard let file = fopen(path, "rb") else { throw failure(path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        let chunk = 1 << 20
        while true {
            let read = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: chunk) { buffer in
                let read = fread(buffer.baseAddress, 1, chunk, file)
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[..<read]))
                return read
            }
            if read < chunk { break }
        }
        guard ferror(file) == 0 else { throw failure(path) }
        return bytes
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.fileUnreadable, "the file cannot be read: \(String(cString: strerror(errno)))", place: path)
    }
}
