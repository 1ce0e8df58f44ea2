import ApusDevices
import ApusErrors
import ApusWorkerHost
import ArgumentParser

/// The inside of the processes that `apus serve` starts. Nobody types this.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "The process of one device, started by serve.", shouldDisplay: false)

    @Flag(help: "Sample the sensors of GPUs and print one JSON line a round.")
    var monitor = false

    @Argument(parsing: .captureForPassthrough)
    var options: [String] = []

    func run() async throws {
        guard monitor else { await WorkerHost.run() }
        DeviceMonitorHost.run(try MonitorOptions(arguments: options))
    }
}
