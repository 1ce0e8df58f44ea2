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
        subcommands: [ServeCommand.self, EmbedCommand.self, IndexCommand.self, SearchCommand.self, CollectionsCommand.self, RerankCommand.self, ClassifyCommand.self, ModelsCommand.self, GPUCommand.self, QuantizeCommand.self, PlanCommand.self, DoctorCommand.self, KeysCommand.self, WorkerCommand.self])

    /// What scripts may rely on.
    enum ExitStatus: Int32 {
        case done = 0
        case failed = 1
        case usage = 2
        /// `EX_CONFIG` of sysexits.h.
        case configuration = 78
    }

    static func main() async {
        var command: any ParsableCommand
        do {
            command = try parseAsRoot()
        } catch {
            endParsing(with: error)
        }
        do {
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            end(ExitStatus.done.rawValue)
        } catch let ended as ExitCode {
            end(ended.rawValue)
        } catch where exitCode(for: error) == .success {
            endParsing(with: error)
        } catch {
            Terminal.standardError("apus: \(error)\n")
            end(status(of: error).rawValue)
        }
    }

    /// Ends the process without running destructors: the engine's, which may be loading or computing on its own threads, crash then.
    private static func end(_ status: Int32) -> Never {
        fflush(nil)
        _exit(status)
    }

    /// A value that the command line gives and that cannot be had is a mistake of usage, whatever room found it.
    private static func status(of error: any Error) -> ExitStatus {
        guard let error = error as? ApusError else { return .failed }
        if error.code == .invalidConfiguration { return .configuration }
        return error.code == .invalidValue && error.place?.hasPrefix("--") == true ? .usage : .failed
    }

    /// Ends the process with the help that was asked for, or with what is wrong about the arguments.
    private static func endParsing(with error: any Error) -> Never {
        let text = fullMessage(for: error) + "\n"
        guard exitCode(for: error) == .success else {
            Terminal.standardError(text)
            Foundation.exit(ExitStatus.usage.rawValue)
        }
        let written = (try? Terminal.standardOutput(text)) != nil
        Foundation.exit((written ? ExitStatus.done : .failed).rawValue)
    }
}
