import ArgumentParser

/// What an operator looks at devices with.
struct GPUCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gpu", abstract: "Look at devices, accelerators and CPUs alike: what there is, how it stands, how fast it is.",
        subcommands: [GPUInfoCommand.self, GPUStatusCommand.self, GPUBenchmarkCommand.self, GPUExplainCommand.self, GPUCheckCommand.self])
}
