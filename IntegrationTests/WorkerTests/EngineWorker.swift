import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Foundation

/// A worker with the engine of this repository's `.apus`.
enum EngineWorker {
    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let library = repository.appendingPathComponent(".apus/engine/lib/libonnxruntime.so.1.31.1").path

    /// Beside the tests, where the package manager puts every executable.
    static let executable = Bundle.main.bundleURL.appendingPathComponent("WorkerFixture").path

    static func settings(lanes: Int = 2, library: String = library) -> ExecutorSettings {
        ExecutorSettings(device: DeviceID(.cpu, 0), lanes: lanes, engineLibrary: library)
    }

    static func spawn(lanes: Int = 2, library: String = library) async throws(ApusError) -> WorkerExecutor {
        try await WorkerExecutor.spawn(
            settings(lanes: lanes, library: library), options: WorkerOptions(executable: executable, arguments: ["engine"]))
    }

    /// A generated checkpoint with what PyTorch computes for it.
    static func tiny(_ name: String) -> String {
        repository.appendingPathComponent("Tests/Fixtures/tiny/\(name)").path
    }
}
