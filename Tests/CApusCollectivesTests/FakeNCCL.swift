import CApusCollectives
import Foundation
import Testing

/// A fake `libnccl.so.2` of its own (Tests/Fixtures/FakeNCCL), with the functions by which it is told to fail and asked what it saw.
final class FakeNCCL: @unchecked Sendable {
    // Unchecked because of the pointers, into a library that stays loaded.
    let path: String
    let functions: apus_nccl
    private let library: UnsafeMutableRawPointer

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-nccl-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        path = "\(folder)/libnccl.so.2"
        try FileManager.default.copyItem(atPath: try Self.built.get(), toPath: path)
        var functions = apus_nccl()
        var reason = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        try #require(apus_nccl_open(path, &functions, &reason) == nil)
        self.functions = functions
        library = try #require(dlopen(path, RTLD_NOW))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent)
    }

    /// Has rank 0 fail in its next sums, or the devices in being joined; 0 for neither.
    func fail(_ result: Int32) { call("fail", as: (@convention(c) (Int32) -> Void).self)?(result) }
    /// Has sums find that something failed before.
    func failLater(_ result: Int32) { call("fail_later", as: (@convention(c) (Int32) -> Void).self)?(result) }

    var live: Int32 { number("live") }
    var destroyed: Int32 { number("destroyed") }
    var aborted: Int32 { number("aborted") }
    var type: Int32 { number("type") }
    var stream: UnsafeMutableRawPointer? { call("stream", as: (@convention(c) () -> UnsafeMutableRawPointer?).self)?() }
    func device(_ rank: Int32) -> Int32 { call("device", as: (@convention(c) (Int32) -> Int32).self)?(rank) ?? -1 }

    /// Returns when no communicator is held any more, or after ten seconds.
    func waitUntilGivenBack() {
        for _ in 0..<10_000 where live > 0 { usleep(1_000) }
    }

    private func number(_ name: String) -> Int32 { call(name, as: (@convention(c) () -> Int32).self)?() ?? -1 }

    private func call<Function>(_ name: String, as type: Function.Type) -> Function? {
        dlsym(library, "fake_nccl_\(name)").map { unsafeBitCast($0, to: type) }
    }

    /// Built once in every run of the tests by the C compiler that comes with Swift.
    private static let built = Result { try build() }

    private static func build() throws -> String {
        let output = FileManager.default.temporaryDirectory.appending(path: "apus-fake-nccl-\(UUID().uuidString).so").path
        let source = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/FakeNCCL/FakeNCCL.c").path
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["/usr/bin"]
        let compilers = ["clang", "cc", "gcc"].flatMap { name in folders.map { "\($0)/\(name)" } }
        let compiler = try #require(
            compilers.first { FileManager.default.isExecutableFile(atPath: $0) }, "no C compiler on PATH: clang comes with Swift")
        let process = Process()
        process.executableURL = URL(filePath: compiler)
        process.arguments = ["-std=gnu11", "-O1", "-shared", "-fPIC", "-pthread", "-o", output, source]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(compiler) failed on \(source)")
        return output
    }
}
