import ApusErrors
import ArgumentParser
import Foundation

/// The `apus` program.
@main
struct ApusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Text embeddings: a server, a command line and a library.",
        version: "0.1.0",
        subcommands: [ServeCommand.self, EmbedCommand.self, ModelsCommand.self, DoctorCommand.self])

    /// What scripts may rely on.
    enum ExitStatus: Int32 {
        case done = 0
        case failed = 1
        case usage = 2
        /// `EX_CONFIG` of sysexits.h.
        case configuration = 78
    }

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Says what went wrong, where programs expect it, and ends the process.
    private static func end(with error: any Error) -> Never {
        if let error = error as? ApusError {
            Terminal.standardError("apus: \(error)\n")
            Foundation.exit(error.code == .invalidConfiguration ? ExitStatus.configuration.rawValue : ExitStatus.failed.rawValue)
        }
        if let ended = error as? ExitCode { Foundation.exit(ended.rawValue) }
        if exitCode(for: error) == .success {
            Terminal.standardOutput(fullMessage(for: error) + "\n")
            Foundation.exit(ExitStatus.done.rawValue)
        }
        Terminal.standardError(fullMessage(for: error) + "\n")
        Foundation.exit(ExitStatus.usage.rawValue)
    }
}
