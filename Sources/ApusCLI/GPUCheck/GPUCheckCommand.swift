import Apus
import ApusConfiguration
import ApusDevices
import ApusExecution
import ApusFleet
import ApusTensor
import ArgumentParser
import Foundation
import Logging

struct GPUCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Prove devices: parity with the CPU, speed, failures, kill and recovery; one report.",
        discussion: """
            Every device is used as a server uses it, in a worker process, and fails on purpose while it is asked: out of memory, poisoned, \
            crashed, hung, killed. Exit status 1 when a check fails. scripts/gpu-check packs a kit that does this on another machine.
            """)

    @Option(help: "The devices to check, as `apus serve` takes them. (default: auto)")
    var devices: String?

    @Option(help: "Write the report, Markdown, to this file too.")
    var report: String?

    @Flag(help: "Fewer texts and sizes: enough to see that every check works, not enough for figures.")
    var quick = false

    @OptionGroup var model: ModelOptions

    func run() async throws {
        if let report { try NumpyArray.checkWritable(report) }
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .critical
            return handler
        }
        let installation = model.installation
        let setup = try await ServeSetup.make(
            file: nil, environment: ProcessInfo.processInfo.environment,
            options: devices.map { [ConfigurationOption("--devices", sets: "devices.list", to: [$0])] } ?? [], installation: installation,
            chaos: nil)
        let members = setup.planned.fleet.members.filter { $0.role == .intended }
        let check = GPUCheck(
            installation: installation, executable: try MachineInventory.executable(), model: model.model ?? Installation.defaultModel,
            scope: quick ? .quick : .full
        ) { step in
            if Terminal.isWatched { Terminal.standardError("\(step)\n") }
        }
        let engine = try EngineFacts(installation)
        var machine = [("engine", "ONNX Runtime \(engine.version) with \(engine.providers.joined(separator: ", "))")]
        machine += members.map { ("\($0.settings.device)", $0.facts) }
        let result = try await check.run(members, machine: machine)
        // Once: it tells the time.
        let markdown = result.markdown
        try Terminal.standardOutput(markdown)
        if let report { try Data(markdown.utf8).write(to: URL(fileURLWithPath: report)) }
        if result.hasFailed { throw ExitCode(ApusCommand.ExitStatus.failed.rawValue) }
    }
}

extension FleetPlan.Member {
    /// The device in one line.
    fileprivate var facts: String {
        var facts = [info.name]
        if let capability = info.computeCapability { facts.append("compute capability \(capability)") }
        if let driver = info.driverVersion { facts.append("driver \(driver)") }
        if let cuda = info.cudaVersion { facts.append("CUDA \(cuda)") }
        if let memory = info.sample?.memory { facts.append("\(memory.totalBytes >> 20) MiB, \(memory.freeBytes >> 20) MiB free") }
        facts.append("\(settings.lanes) lane\(settings.lanes == 1 ? "" : "s")")
        return facts.joined(separator: ", ")
    }
}
