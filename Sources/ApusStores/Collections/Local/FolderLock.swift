import ApusErrors
import Foundation

/// The right to write into a data folder, which one process has at a time: an exclusive `flock` on the file `lock`, which the system takes
/// back when the process ends, however it ends.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// Throws `store_unavailable`, naming the process that holds the folder.
    init(folder: String) throws(ApusError) {
        let path = "\(folder)/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreFailure.system("the lock file cannot be opened", errno, path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            let holder = Self.holder(descriptor)
            close(descriptor)
            guard failure == EWOULDBLOCK else { throw StoreFailure.system("the lock file cannot be locked", failure, path) }
            throw ApusError(
                .storeUnavailable, "\(holder) writes into this data folder, and only one process may", place: folder,
                advice: "Send it to the running server over HTTP, end that process, or name another folder with --data")
        }
        let text = Array("\(getpid())\n".utf8)
        // Whose lock it is is told for people; the lock itself needs no text.
        if ftruncate(descriptor, 0) == 0 { _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) } }
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    private static func holder(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        let digits = bytes.prefix(max(0, count)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return digits.isEmpty ? "another process" : "process \(String(decoding: digits, as: UTF8.self))"
    }
}
