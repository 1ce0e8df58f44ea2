import Foundation

/// Where SwiftPM puts what it builds: the folder of the running tests.
enum TestProducts {
    static let directory: String = {
        #if os(Linux)
            let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "."
            return URL(fileURLWithPath: executable).deletingLastPathComponent().path
        #else
            return Bundle(for: Anchor.self).bundleURL.deletingLastPathComponent().path
        #endif
    }()

    private final class Anchor {}
}
