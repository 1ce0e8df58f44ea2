#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The process' standard error, unbuffered.
package enum StandardError {
    /// Writes `bytes` with as few calls as the system allows; lines of usual length go out whole even between threads. What cannot
    /// be written is lost, since there is nowhere left to say so.
    package static let write: @Sendable ([UInt8]) -> Void = { bytes in
        bytes.withUnsafeBytes { buffer in
            var rest = UnsafeRawBufferPointer(buffer)
            while let start = rest.baseAddress, !rest.isEmpty {
                #if canImport(Glibc)
                let count = Glibc.write(STDERR_FILENO, start, rest.count)
                #elseif canImport(Musl)
                let count = Musl.write(STDERR_FILENO, start, rest.count)
                #else
                let count = Darwin.write(STDERR_FILENO, start, rest.count)
                #endif
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
