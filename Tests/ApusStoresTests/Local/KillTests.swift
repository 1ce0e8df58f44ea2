import Foundation
import Testing

/// Kills a process that writes, as Benchmarks/kill_index.py does 200 times.
@Suite struct KillTests {
    /// The package manager puts it beside the tests.
    private static let program = Bundle.main.bundleURL.appendingPathComponent("CollectionBenchmark").path

    /// What each document must be by what was acknowledged, and the operation that each writer had in flight.
    private struct Ledger {
        var documents: [String: Int] = [:]
        var pending: [String: (ids: [String], version: Int?)] = [:]

        mutating func read(_ line: String) {
            let words = line.split(separator: " ").map(String.init)
            if words.count == 6, words[0] == "t", let version = Int(words[3]), let first = Int(words[4]), let count = Int(words[5]) {
                pending[words[1]] = ((first..<first + count).map { "\(words[1])-\($0)" }, words[2] == "d" ? nil : version)
            } else if words.count == 2, words[0] == "a", let done = pending.removeValue(forKey: words[1]) {
                for id in done.ids { documents[id] = done.version }
            }
        }

        /// Takes what was in flight as it turned out. False when it is there in part.
        mutating func settle(_ stored: [String: Int]) -> Bool {
            var isWhole = true
            for (ids, version) in pending.values {
                if ids.allSatisfy({ stored[$0] == version }) {
                    for id in ids { documents[id] = version }
                } else if ids.contains(where: { stored[$0] != documents[$0] }) {
                    isWhole = false
                }
            }
            pending = [:]
            return isWhole
        }
    }

    private func lines(_ arguments: [String], killedAfter seconds: Double?) throws -> [String] {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        if let seconds {
            // Its first word, so that it is killed while it writes and not while it starts.
            let first = output.fileHandleForReading.availableData
            usleep(UInt32(seconds * 1_000_000))
            kill(process.processIdentifier, SIGKILL)
            let rest = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            // The last line may be cut short.
            return Array(String(decoding: first + rest, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init))
        }
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func `a process that is killed loses nothing that it acknowledged`() throws {
        let folder = try TemporaryFolder()
        var ledger = Ledger()
        for (round, seconds) in [0.002, 0.02, 0.3, 0.05, 0.5, 0.1, 0.4, 0.2].enumerated() {
            for line in try lines(["write", folder.path, "\(round + 1)", "1500"], killedAfter: seconds) { ledger.read(line) }
            let told = try lines(["check", folder.path], killedAfter: nil)
            let last = try #require(told.last?.split(separator: " "))
            #expect(last.first == "checked" && last.last == "0", "wrong vectors after kill \(round + 1)")
            var stored: [String: Int] = [:]
            for line in told.dropLast() {
                let words = line.split(separator: " ")
                stored[String(words[0])] = Int(words[1])
            }
            let isWhole = ledger.settle(stored)
            #expect(isWhole, "an operation is there in part after kill \(round + 1)")
            #expect(stored == ledger.documents, "after kill \(round + 1)")
        }
        #expect(!ledger.documents.isEmpty)
    }
}
