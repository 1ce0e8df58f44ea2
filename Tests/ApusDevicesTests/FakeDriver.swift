import Foundation
import Testing

/// A folder with a fake management library, a fake CUDA driver library and the script that both play (Tests/Fixtures/FakeNVML).
/// Each value has libraries of its own, so that tests do not disturb each other.
final class FakeDriver {
    enum Age: String {
        case current
        /// Without what drivers of old lack.
        case old
    }

    private let tree: FileTree
    private var lines: [String]

    var nvmlPath: String { tree.path("libnvidia-ml.so.1") }
    var cudaPath: String { tree.path("libcuda.so.1") }

    init(_ lines: String..., age: Age = .current) throws {
        tree = try FileTree()
        self.lines = lines
        let built = try Self.libraries.get()
        try FileManager.default.copyItem(atPath: "\(built)/\(age.rawValue)-nvml.so", toPath: nvmlPath)
        try FileManager.default.copyItem(atPath: "\(built)/cuda.so", toPath: cudaPath)
        try tree.write("script", lines.joined(separator: "\n") + "\n")
    }

    /// Adds lines to the script; a later line wins.
    func play(_ more: String...) throws {
        lines += more
        try tree.write("script", lines.joined(separator: "\n") + "\n")
    }

    /// Takes lines out of the script again.
    func forget(_ gone: String...) throws {
        lines.removeAll { gone.contains($0) }
        try tree.write("script", lines.joined(separator: "\n") + "\n")
    }

    /// NVML's UUID of a GPU unless the script gives another.
    static func uuid(_ gpu: Int) -> String {
        let digits = gpu < 16 ? "0\(String(gpu, radix: 16))" : String(gpu, radix: 16)
        return "GPU-\(String(0xA0 + gpu, radix: 16))000000-1111-2222-3333-4444555566\(digits)"
    }

    /// The folder of the libraries, built once in every run of the tests by the C compiler that comes with Swift.
    private static let libraries = Result { try build() }

    private static func build() throws -> String {
        let folder = TestProducts.directory + "/fake-drivers"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/FakeNVML").path
        let compiler = try #require(compilerPath, "no C compiler on PATH: clang comes with Swift")
        for (output, source, flags) in [
            ("current-nvml.so", "FakeNVML.c", [String]()), ("old-nvml.so", "FakeNVML.c", ["-DOLD_DRIVER"]), ("cuda.so", "FakeCUDA.c", []),
        ] {
            // Another run of the tests may be copying the library that an earlier run built.
            let fresh = "\(folder)/\(UUID().uuidString)"
            let process = Process()
            process.executableURL = URL(fileURLWithPath: compiler)
            process.arguments = ["-std=gnu11", "-O1", "-shared", "-fPIC", "-o", fresh, "\(sources)/\(source)", "-ldl"] + flags
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "\(compiler) failed on \(source)")
            try #require(rename(fresh, "\(folder)/\(output)") == 0)
        }
        return folder
    }

    private static var compilerPath: String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["/usr/bin"]
        return ["clang", "cc", "gcc"].flatMap { name in folders.map { "\($0)/\(name)" } }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
