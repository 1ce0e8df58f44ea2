import ApusErrors
import ApusStores
import ApusTensor
import ApusVectors
import Foundation
import GRDB
import Logging
import Testing

@Suite(.timeLimit(.minutes(1))) struct CacheFileTests {
    private let scope = EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256")
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-cache-\(UUID().uuidString)")
    private var path: String { folder.appendingPathComponent("below/cache.sqlite").path }

    private func value(_ number: Int) -> CachedEmbedding {
        CachedEmbedding(vector: [Float(number), 0.5], tokens: number, originalTokens: number, device: DeviceID(.cpu, 0))
    }

    private func key(_ number: Int) -> EmbeddingKey { scope.key(text: "text \(number)") }

    private func cache(_ entries: Int = 1000, at path: String? = nil) async throws -> EmbeddingCache {
        let limits = try CacheLimits(maxEntries: entries, maxBytes: 1 << 24)
        let cache = EmbeddingCache(
            limits, journal: CacheFile(path: path ?? self.path, limits: limits, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        await cache.waitUntilRestored()
        return cache
    }

    private func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("below").path).sorted()
    }

    @Test func whatWasRememberedSurvivesARestart() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try await cache()
        for number in 0..<500 { first.store(value(number), for: key(number)) }
        await first.close()
        let second = try await cache()
        #expect((0..<500).allSatisfy { second.value(for: key($0)) == value($0) })
        let statistics = try #require(second.journal?.statistics)
        #expect(statistics.entries == 500 && statistics.isAvailable && statistics.trouble == nil && statistics.corruptions == 0)
        await second.close()
    }

    @Test func whatWasEvictedIsNotInTheFile() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try await cache(3)
        for number in 0..<50 { first.store(value(number), for: key(number)) }
        await first.close()
        let second = try await cache(1000)
        #expect((0..<50).filter { second.value(for: key($0)) != nil } == [47, 48, 49])
        await second.close()
    }

    @Test func lowerLimitsTakeOutTheOldest() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try await cache()
        for number in 0..<50 { first.store(value(number), for: key(number)) }
        await first.close()
        let second = try await cache(10)
        #expect((0..<50).filter { second.value(for: key($0)) != nil } == Array(40..<50))
        await second.close()
        let third = try await cache()
        #expect(third.statistics.entries == 10)
        await third.close()
    }

    @Test func aDamagedEntryIsTakenOutAndTheOthersStay() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let first = try await cache()
        for number in 0..<20 { first.store(value(number), for: key(number)) }
        await first.close()
        let database = try DatabaseQueue(path: path)
        try await database.write { db in
            try db.execute(sql: "UPDATE entries SET value = (SELECT value FROM entries WHERE number = 1) WHERE number = 2")
            try db.execute(sql: "UPDATE entries SET value = x'00' WHERE number = 3")
            try db.execute(sql: "UPDATE entries SET key = x'0102' WHERE number = 4")
        }
        try database.close()
        let second = try await cache()
        #expect((0..<20).filter { second.value(for: key($0)) != nil } == [0] + Array(4..<20))
        #expect(second.journal?.statistics.corruptions == 3)
        await second.close()
        let third = try await cache()
        #expect(third.journal?.statistics.corruptions == 0 && third.statistics.entries == 17)
        await third.close()
    }

    @Test(arguments: ["garbage", "sqlite with garbage", "another program's", "another version's"])
    func aFileThatIsNoneIsPutAsideAndANewOneBegun(kind: String) async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(atPath: folder.appendingPathComponent("below").path, withIntermediateDirectories: true)
        var content = Data("this is no database at all, and long enough to be looked at. ".utf8)
        for _ in 0..<8 { content += content }
        switch kind {
        case "garbage": break
        case "sqlite with garbage": content.replaceSubrange(0..<16, with: Data("SQLite format 3\0".utf8))
        default:
            let database = try DatabaseQueue(path: path)
            try await database.write { db in
                if kind == "another version's" {
                    try db.execute(sql: "PRAGMA application_id = \(0x4150_5543)")
                    try db.execute(sql: "PRAGMA user_version = 99")
                }
                try db.execute(sql: "CREATE TABLE precious (things TEXT)")
            }
            try database.close()
            content = try Data(contentsOf: URL(fileURLWithPath: path))
        }
        try content.write(to: URL(fileURLWithPath: path))
        let first = try await cache()
        first.store(value(1), for: key(1))
        await first.close()
        let aside = try names().filter { $0.hasPrefix("cache.sqlite.aside-") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm") }
        #expect(aside.count == 1)
        let kept = try Data(contentsOf: folder.appendingPathComponent("below").appendingPathComponent(try #require(aside.first)))
        #expect(kept == content)
        let second = try await cache()
        #expect(second.value(for: key(1)) == value(1))
        await second.close()
    }

    @Test(arguments: ["folder", "no folder can be made", "locked"]) func aFileThatCannotBeUsedIsDoneWithout(kind: String) async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var place = path
        var other: DatabaseQueue?
        switch kind {
        case "folder": try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        case "no folder can be made":
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data().write(to: folder.appendingPathComponent("file"))
            place = folder.appendingPathComponent("file/cache.sqlite").path
        default:
            try FileManager.default.createDirectory(atPath: folder.appendingPathComponent("below").path, withIntermediateDirectories: true)
            let database = try DatabaseQueue(path: path)
            try await database.writeWithoutTransaction { db in
                // A write in this mode keeps its lock until the database is closed.
                try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE t (x)")
            }
            other = database
        }
        let cache = try await cache(at: place)
        cache.store(value(1), for: key(1))
        #expect(cache.value(for: key(1)) == value(1))
        let statistics = try #require(cache.journal?.statistics)
        #expect(!statistics.isAvailable && statistics.trouble != nil && statistics.failures == 1)
        if kind == "locked" { #expect(statistics.trouble == "another process has locked it") }
        await cache.close()
        #expect(cache.journal?.statistics.drops == 1)
        withExtendedLifetime(other) {}
    }
}
