import ApusErrors
import ApusExecution
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// Profiles of steps, taken while they run.
@Suite struct ProfileTests {
    private func withFolder(_ body: (URL) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder)
    }

    /// What is in the folder for profiles, hidden files included.
    private func files(_ folder: URL) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("logs/gpu_profiles").path)) ?? []).sorted()
    }

    private func events(_ folder: URL, _ name: String) throws -> [[String: Any]] {
        let data = try Data(contentsOf: folder.appendingPathComponent("logs/gpu_profiles/\(name)"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    }

    private func steps(_ events: [[String: Any]]) -> Set<Int> {
        Set(events.compactMap { ($0["args"] as? [String: Any])?["step"] as? Int })
    }

    /// Files are written beside the lanes, in turn with whatever is prepared.
    private func settle(_ executor: InProcessExecutor) async throws {
        try await executor.prepare { () throws(ApusError) in }
    }

    @Test func theNextStepsOfEachModelBecomeOneFile() async throws {
        try await withFolder { folder in
            let executor = try SyntheticGraph.executor(DeviceID(.sim, 2), lanes: 1)
            let first = try await executor.load(SyntheticGraph.request("first"))
            let second = try await executor.load(SyntheticGraph.request("org/second"))
            let input = SyntheticGraph.input(rows: 8, value: 2)
            _ = try first.run(["x": input], output: 0, memory: .kept)
            try await executor.profile(steps: 3, into: folder.path)
            #expect(try first.run(["x": input], output: 0, memory: .kept) == input)
            #expect(try second.run(["x": input], output: 0, memory: .released) == input)
            try await settle(executor)
            #expect(files(folder).filter { !$0.hasPrefix(".") }.isEmpty)
            #expect(try first.run(["x": input], output: 0, memory: .kept) == input)
            #expect(try first.run(["x": input], output: 0, memory: .kept) == input)
            try await settle(executor)
            let names = files(folder)
            #expect(names.count == 2)
            let name = try #require(names.first { $0.hasPrefix("sim2-first-") })
            #expect(names.contains { $0.hasPrefix("sim2-org_second-") && $0.hasSuffix(".json") })
            let events = try events(folder, name)
            #expect(steps(events) == [1, 3])
            #expect(events.contains { ($0["args"] as? [String: Any])?["op_name"] as? String == "MatMul" })
            let runs = events.filter { $0["name"] as? String == "model_run" }
            let starts = runs.compactMap { $0["ts"] as? Int }
            #expect(runs.count == 2 && starts.count == 2 && starts == starts.sorted() && starts.first != starts.last)
        }
    }

    @Test func aNewProfileEndsTheOneBeforeWithTheStepsItHas() async throws {
        try await withFolder { folder in
            let executor = try SyntheticGraph.executor()
            let model = try await executor.load(SyntheticGraph.request())
            try await executor.profile(steps: 1000, into: folder.path)
            _ = try model.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept)
            try await executor.profile(steps: 1, into: folder.path)
            try await settle(executor)
            let visible = files(folder).filter { !$0.hasPrefix(".") }
            #expect(visible.count == 1)
            #expect(steps(try events(folder, visible.first ?? "")) == [1])
            _ = try model.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept)
            try await settle(executor)
            #expect(files(folder).count == 2 && files(folder).allSatisfy { !$0.hasPrefix(".") })
        }
    }

    @Test func whatEndedProcessesLeftGoesAndWhatOthersWriteStays() async throws {
        try await withFolder { folder in
            let profiles = folder.appendingPathComponent("logs/gpu_profiles")
            let abandoned = profiles.appendingPathComponent(".\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: abandoned, withIntermediateDirectories: true)
            try Data("{".utf8).write(to: abandoned.appendingPathComponent("step-1_0.json"))
            let (first, second) = (try SyntheticGraph.executor(), try SyntheticGraph.executor())
            let model = try await first.load(SyntheticGraph.request())
            try await first.profile(steps: 1, into: folder.path)
            #expect(!FileManager.default.fileExists(atPath: abandoned.path))
            try await second.profile(steps: 1, into: folder.path)
            #expect(files(folder).filter { $0.hasPrefix(".") }.count == 2)
            _ = try model.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept)
            try await settle(first)
            #expect(files(folder).filter { $0.hasPrefix(".") }.count == 1)
            #expect(files(folder).filter { $0.hasSuffix(".json") }.count == 1)
        }
    }

    @Test func theOldestOfTooManyProfilesGo() async throws {
        try await withFolder { folder in
            let profiles = folder.appendingPathComponent("logs/gpu_profiles")
            try FileManager.default.createDirectory(at: profiles, withIntermediateDirectories: true)
            for age in 1...70 {
                let path = profiles.appendingPathComponent("old-\(age).json").path
                #expect(FileManager.default.createFile(atPath: path, contents: Data("[]".utf8)))
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -3600 * Double(age))], ofItemAtPath: path)
            }
            let executor = try SyntheticGraph.executor()
            let model = try await executor.load(SyntheticGraph.request())
            try await executor.profile(steps: 1, into: folder.path)
            _ = try model.run(["x": SyntheticGraph.input(rows: 1)], output: 0, memory: .kept)
            try await settle(executor)
            let left = files(folder)
            #expect(left.count == 64 && left.count { $0.hasPrefix("old-") } == 63)
            #expect(left.contains("old-63.json") && !left.contains("old-64.json"))
        }
    }

    @Test func lanesMayRunProfiledStepsAtTheSameTime() async throws {
        try await withFolder { folder in
            let executor = try SyntheticGraph.executor(lanes: 2)
            let model = try await executor.load(SyntheticGraph.request())
            try await executor.profile(steps: 16, into: folder.path)
            await withTaskGroup(of: Bool.self) { group in
                for run in 0..<20 {
                    group.addTask {
                        await withCheckedContinuation { continuation in
                            executor.submit {
                                let input = SyntheticGraph.input(rows: 64, value: Float(run))
                                let output = try? model.run(["x": input], output: 0, memory: .kept)
                                continuation.resume(returning: output == input)
                            }
                        }
                    }
                }
                for await right in group { #expect(right) }
            }
            try await settle(executor)
            let names = files(folder)
            #expect(names.count == 1)
            #expect(steps(try events(folder, names.first ?? "")) == Set(1...16))
        }
    }

    @Test(arguments: [0, -1, 1001, Int.max])
    func countsThatMakeNoSenseAreRefused(steps: Int) async throws {
        let executor = try SyntheticGraph.executor()
        await #expect { try await executor.profile(steps: steps, into: NSTemporaryDirectory()) } throws: {
            ($0 as? ApusError)?.code == .invalidValue
        }
    }

    @Test func aFolderThatCannotBeMadeIsNamed() async throws {
        let executor = try SyntheticGraph.executor()
        await #expect { try await executor.profile(steps: 1, into: "/proc/version") } throws: {
            ($0 as? ApusError)?.code == .fileUnwritable && ($0 as? ApusError)?.place == "/proc/version/logs/gpu_profiles"
        }
    }
}
