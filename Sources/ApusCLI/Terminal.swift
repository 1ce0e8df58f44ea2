import Foundation

/// Standard output and error, as bytes.
enum Terminal {
    static func standardOutput(_ text: String) {
        write(Array(text.utf8), to: STDOUT_FILENO)
    }

    static func standardError(_ text: String) {
        write(Array(text.utf8), to: STDERR_FILENO)
    }

    /// Writes all of `bytes`, or as much as the other end takes.
    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Whether a person watches standard error.
    static var isWatched: Bool { isatty(STDERR_FILENO) != 0 }

    static var inputIsKeyboard: Bool { isatty(STDIN_FILENO) != 0 }
}
