import ApusDevices
import Foundation
import Testing

@Suite struct MeasuredScoreStoreTests {
    private let key = MeasuredScoreStore.Key(device: "GPU-1", driver: "580", engine: "1.31.1", model: "abc")

    @Test func aScoreIsRememberedUnderAllThatItDependsOn() throws {
        let tree = try FileTree()
        let store = MeasuredScoreStore(path: tree.path("scores.json"))
        #expect(store.score(key) == nil)
        store.record(1_234.5, for: key)
        store.record(99, for: .init(device: "CPU \"x\"", driver: "", engine: "1.31.1", model: "abc"))
        store.record(2_000, for: key)
        #expect(MeasuredScoreStore(path: tree.path("scores.json")).score(key) == 2_000)
        #expect(store.score(.init(device: "CPU \"x\"", driver: "", engine: "1.31.1", model: "abc")) == 99)
        for other in [
            MeasuredScoreStore.Key(device: "GPU-2", driver: "580", engine: "1.31.1", model: "abc"),
            .init(device: "GPU-1", driver: "581", engine: "1.31.1", model: "abc"),
            .init(device: "GPU-1", driver: "580", engine: "1.32", model: "abc"),
            .init(device: "GPU-1", driver: "580", engine: "1.31.1", model: "abd"),
        ] {
            #expect(store.score(other) == nil)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: tree.root) == ["scores.json"])
    }

    @Test func aScoreThatIsNoSpeedIsNotRemembered() throws {
        let tree = try FileTree()
        let store = MeasuredScoreStore(path: tree.path("scores.json"))
        for score in [0, -1, .infinity, .nan] { store.record(score, for: key) }
        #expect(!FileManager.default.fileExists(atPath: tree.path("scores.json")))
    }

    @Test(arguments: [
        "", "junk", "{}", "[1]", "{\"version\":1}", "{\"version\":2,\"scores\":[]}", "{\"version\":1,\"scores\":[1,{}]}",
        "{\"version\":1,\"scores\":[{\"device\":\"GPU-1\",\"driver\":\"580\",\"engine\":\"1.31.1\",\"model\":\"abc\",\"texts_per_second\":-3}]}",
        String(repeating: "[", count: 100_000),
    ])
    func aFileOfJunkCountsAsAbsentAndIsReplaced(text: String) throws {
        let tree = try FileTree(["scores.json": text])
        let store = MeasuredScoreStore(path: tree.path("scores.json"))
        #expect(store.score(key) == nil)
        store.record(7, for: key)
        #expect(store.score(key) == 7)
    }

    @Test func whatIsNoFileOrCannotBeWrittenIsNoFailure() throws {
        let tree = try FileTree(["folder/x": ""])
        // Reading from a pipe without a writer would wait for ever.
        try #require(mkfifo(tree.path("pipe"), 0o600) == 0)
        for path in [tree.path("folder"), tree.path("missing/scores.json"), tree.path("pipe"), nil] {
            let store = MeasuredScoreStore(path: path)
            store.record(7, for: key)
            #expect(store.score(key) == nil)
        }
        #expect(FileManager.default.fileExists(atPath: tree.path("folder/x")))
        let kind = try FileManager.default.attributesOfItem(atPath: tree.path("pipe"))[.type] as? FileAttributeType
        #expect(kind != .typeRegular)
    }

    @Test func theFileDoesNotGrowForEver() throws {
        let entries = (0..<MeasuredScoreStore.mostEntries).map {
            "{\"device\":\"\($0)\",\"driver\":\"\",\"engine\":\"\",\"model\":\"\",\"texts_per_second\":\($0 + 1)}"
        }
        let tree = try FileTree(["scores.json": "{\"version\":1,\"scores\":[\(entries.joined(separator: ","))]}"])
        let store = MeasuredScoreStore(path: tree.path("scores.json"))
        #expect(store.score(.init(device: "0", driver: "", engine: "", model: "")) == 1)
        store.record(7, for: key)
        #expect(store.score(key) == 7)
        #expect(store.score(.init(device: "0", driver: "", engine: "", model: "")) == nil)
        #expect(store.score(.init(device: "1", driver: "", engine: "", model: "")) == 2)
    }
}
