import Apus
import ApusBatching
import ApusDevices
import ApusErrors
import ApusJSON
import ApusTensor
import ArgumentParser
import Foundation

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check the engine, the default model, the port and the threads, and say what to do.")

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The port a server would listen on.")
    var port: Int = 8080

    @OptionGroup var model: ModelOptions

    func validate() throws {
        guard (1...65535).contains(port) else { throw ValidationError("--port must be from 1 to 65535.") }
    }

    func run() async throws {
        let installation = model.installation
        var checks: [Check] = []
        var room: EngineRoom?
        do throws(ApusError) {
            let engine = try EngineFacts(installation)
            checks.append(
                Check("engine", .ok, "ONNX Runtime \(engine.version) with \(engine.providers.joined(separator: ", ")), \(engine.library)"))
            room = try EngineRoom(installation: installation)
        } catch {
            checks.append(Check("engine", error))
        }
        checks.append(await checkModel(installation, room))
        checks.append(checkPort())
        checks.append(checkThreads())
        try report(checks)
        if checks.contains(where: { $0.status == .failed }) { throw ExitCode(ApusCommand.ExitStatus.failed.rawValue) }
    }

    private func checkModel(_ installation: Installation, _ room: EngineRoom?) async -> Check {
        let name = model.model ?? Installation.defaultModel
        do throws(ApusError) {
            let directory = try installation.modelDirectory(name)
            guard let room else { return Check("model", .warning, "\(directory) was not tried: there is no engine") }
            let ready = try await room.load(directory: directory, precision: model.precision, limits: try BatchLimits())
            return Check(
                "model", .ok,
                "\(ready.name) gives its known answer in \(ready.precision.rawValue) on \(Self.proofs(ready))")
        } catch {
            return Check("model", error)
        }
    }

    private static func proofs(_ ready: ReadyModel) -> String {
        ready.cosines.sorted { $0.key < $1.key }.map { "\($0.key) (cosine \($0.value))" }.joined(separator: ", ")
    }

    private func checkPort() -> Check {
        #if canImport(Darwin)
            let stream = SOCK_STREAM
        #else
            let stream = Int32(SOCK_STREAM.rawValue)
        #endif
        let descriptor = socket(AF_INET, stream, 0)
        guard descriptor >= 0 else { return Check("port", .warning, "no socket could be made to try port \(port)") }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return bound == 0
            ? Check("port", .ok, "port \(port) is free on 127.0.0.1")
            : Check("port", .warning, "port \(port) is in use on 127.0.0.1", advice: "Serve on another with --port")
    }

    private func checkThreads() -> Check {
        let cores = CPUTopology.current.available
        return Check("threads", .ok, "\(cores) core\(cores == 1 ? "" : "s") for computing, one lane on each")
    }

    private func report(_ checks: [Check]) throws {
        guard json else {
            for check in checks {
                try Terminal.standardOutput("\(check.status.rawValue.uppercased().padding(toLength: 8, withPad: " ", startingAt: 0))\(check.name): \(check.detail)\n")
                if let advice = check.advice { try Terminal.standardOutput("        \(advice)\n") }
            }
            return
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("checks")
        writer.beginArray()
        for check in checks {
            writer.beginObject()
            writer.member("name", check.name)
            writer.member("status", check.status.rawValue)
            writer.member("detail", check.detail)
            writer.key("advice")
            if let advice = check.advice { writer.string(advice) } else { writer.null() }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        try Terminal.standardOutput(String(decoding: writer.bytes, as: UTF8.self) + "\n")
    }

    private struct Check {
        enum Status: String {
            case ok, warning, failed
        }

        let name: String
        let status: Status
        let detail: String
        let advice: String?

        init(_ name: String, _ status: Status, _ detail: String, advice: String? = nil) {
            self.name = name
            self.status = status
            self.detail = detail
            self.advice = advice
        }

        init(_ name: String, _ error: ApusError) {
            self.init(name, .failed, ApusError(error.code, error.message, place: error.place, cause: error.cause).description, advice: error.advice)
        }
    }
}
