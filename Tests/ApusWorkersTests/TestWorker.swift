import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Foundation

/// Starts `WorkerFixture`, which the package manager puts beside the tests.
enum TestWorker {
    static let executable = Bundle.main.bundleURL.appendingPathComponent("WorkerFixture").path

    static func settings(lanes: Int = 1, cores: [Int] = []) -> ExecutorSettings {
        ExecutorSettings(device: DeviceID(.sim, 3), lanes: lanes, cores: cores, engineLibrary: "none")
    }

    static func options(_ kind: String = "scripted", _ change: (inout WorkerOptions) -> Void = { _ in }) -> WorkerOptions {
        var options = WorkerOptions(executable: executable, arguments: [kind])
        change(&options)
        return options
    }

    static func spawn(
        lanes: Int = 1, cores: [Int] = [], _ change: (inout WorkerOptions) -> Void = { _ in }
    ) async throws(ApusError) -> WorkerExecutor {
        try await WorkerExecutor.spawn(settings(lanes: lanes, cores: cores), options: options("scripted", change))
    }

    static let noIDs = HostTensor([1, 0], .int64([]))

    /// What a scripted model takes.
    static func inputs(_ x: [Float], ids: HostTensor = noIDs) -> [String: HostTensor] {
        ["x": HostTensor([x.count], .float32(x)), "ids": ids]
    }
}

extension WorkerExecutor {
    func scripted(_ name: String) async throws(ApusError) -> any LoadedModel {
        try await load(LoadRequest(name: name, source: .file("none")))
    }

    /// Runs a step on whichever lane is free first.
    func step(
        _ model: any LoadedModel, _ inputs: [String: HostTensor] = TestWorker.inputs([1]), output: Int = 0,
        memory: WorkingMemory = .kept
    ) async throws(ApusError) -> HostTensor {
        let result = await withCheckedContinuation { continuation in
            submit {
                continuation.resume(returning: Result { () throws(ApusError) in
                    try model.run(inputs, output: output, memory: memory)
                })
            }
        }
        return try result.get()
    }

    /// The error that a step ends with; nil when it ends well.
    func failure(_ model: any LoadedModel, _ inputs: [String: HostTensor] = TestWorker.inputs([1])) async -> ApusError? {
        do throws(ApusError) {
            _ = try await step(model, inputs)
            return nil
        } catch {
            return error
        }
    }
}

/// Collects the ends that an executor tells of.
final class DeathLog: Sendable {
    private let stream: AsyncStream<WorkerDeath>
    private let continuation: AsyncStream<WorkerDeath>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    var record: @Sendable (WorkerDeath) -> Void {
        { [continuation] death in continuation.yield(death) }
    }

    /// Waits for the next.
    func next() async -> WorkerDeath? {
        await stream.first { _ in true }
    }

    /// All that have not been taken; nothing can be told after this.
    func rest() async -> [WorkerDeath] {
        continuation.finish()
        return await stream.reduce(into: []) { $0.append($1) }
    }
}

/// A process as the system knows it.
enum ProcessTable {
    /// Whether the process exists and is no zombie.
    static func runs(_ pid: Int32) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return kill(pid, 0) == 0 }
        let state = status.split(separator: ")").last?.split(separator: " ").first
        return state != "Z" && state != "X"
    }

    /// Returns once the process is gone; false after `deadline`.
    static func awaitEnd(_ pid: Int32, within deadline: Duration = .seconds(20)) async -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + deadline
        while clock.now < end {
            if !runs(pid) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }
}
