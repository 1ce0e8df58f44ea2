import Apus
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

    @Flag(help: "Print in one JSON line what the engine offers: its library, then those of plugin providers.")
    var offers = false

    @Argument(parsing: .captureForPassthrough)
    var options: [String] = []

    func run() async throws {
        if monitor { DeviceMonitorHost.run(try MonitorOptions(arguments: options)) }
        if offers { return try Terminal.standardOutput(String(decoding: Self.offer(of: options).json, as: UTF8.self) + "\n") }
        await WorkerHost.run()
    }

    private static func offer(of libraries: [String]) -> EngineOffer.Answer {
        do throws(ApusError) {
            return .offer(try EngineOffer(arguments: libraries))
        } catch {
            return .failure(error)
        }
    }
}
