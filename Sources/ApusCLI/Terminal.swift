import ApusErrors
import Foundation

/// Standard output and error, as bytes.
enum Terminal {
    /// Throws `file_unwritable`: output that is cut short must not look complete.
    static func standardOutput(_ text: String) throws(ApusError) {
        try standardOutput(Array(text.utf8))
    }

    static func standardOutput(_ bytes: [UInt8]) throws(ApusError) {
        let failure = write(bytes, to: STDOUT_FILENO)
        guard failure == 0 else {
            throw ApusError(.fileUnwritable, "the output could not be written: \(String(cString: strerror(failure)))", place: "standard output")
        }
    }

    /// What cannot be said on standard error can be said nowhere.
    static func standardError(_ text: String) {
        _ = write(Array(text.utf8), to: STDERR_FILENO)
    }

    /// Whether a person watches standard error.
    static var isWatched: Bool { isatty(STDERR_FILENO) != 0 }

    static var inputIsKeyboard: Bool { isatty(STDIN_FILENO) != 0 }

    /// Writes all of `bytes`; 0, or the `errno` that stopped it.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&ready, 1, -1)
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
    }
}
