import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Foundation

/// A front that starts a worker, tells its process id, keeps its lane busy, and is then killed by the test.
enum FixtureFront {
    static func run() async {
        let settings = ExecutorSettings(device: DeviceID(.sim, 0), lanes: 1, engineLibrary: "none")
        let options = WorkerOptions(executable: CommandLine.arguments[0], arguments: ["scripted"])
        do {
            let worker = try await WorkerExecutor.spawn(settings, options: options)
            let model = try await worker.load(LoadRequest(name: "sleep:600000", source: .file("none")))
            worker.submit {
                let inputs = ["x": HostTensor([1], .float32([0])), "ids": HostTensor([1, 1], .int64([0]))]
                _ = try? model.run(inputs, output: 0, memory: .kept)
            }
            print(worker.pid)
            fflush(nil)
            try await Task.sleep(for: .seconds(600))
            await worker.shutdown()
        } catch {
            print("\(error)")
        }
    }
}
