import Apus
import ApusBatching
import ApusDevices
import ApusErrors
import ApusFleet
import ApusJSON
import ApusService
import ApusTensor
import ApusWorkers
import ArgumentParser
import Foundation
import Logging

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check the engine, a worker with the default model, GPUs, the port and the cores, and say what to do.")

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
        let machine = try await MachineInventory.look(installation)
        var checks = [checkEngine(machine, installation)]
        checks += await checkWorker(installation)
        checks.append(checkSharedMemory())
        checks.append(checkGPUs(machine))
        checks.append(checkPort())
        checks.append(checkThreads(machine.cpu))
        checks.append(checkCores(machine.cpu))
        checks.append(checkFeatures())
        try report(checks)
        if checks.contains(where: { $0.status == .failed }) { throw ExitCode(ApusCommand.ExitStatus.failed.rawValue) }
    }

    private func checkEngine(_ machine: MachineInventory, _ installation: Installation) -> Check {
        do throws(ApusError) {
            let offer = try machine.engine.get()
            return Check(
                "engine", .ok,
                "ONNX Runtime \(offer.version) with \(offer.providers.joined(separator: ", ")), \(try installation.engineLibrary())")
        } catch {
            return Check("engine", error)
        }
    }

    /// The model in a worker process, as a server has it: the worker says who it is, and the model gives its known answer in it.
    private func checkWorker(_ installation: Installation) async -> [Check] {
        let name = model.model ?? Installation.defaultModel
        var logger = Logger(label: "apus.devices")
        logger.logLevel = .critical
        let room: EngineRoom
        let directory: String
        do throws(ApusError) {
            directory = try installation.modelDirectory(name)
            room = try EngineRoom(
                installation: installation, execution: .workers(executable: try MachineInventory.executable()), logger: logger)
        } catch {
            return [Check("worker", .warning, "none was started: there is no engine, or no model to run in it"), Check("model", error)]
        }
        let began = ContinuousClock.now
        let answer: Check
        do throws(ApusError) {
            let ready = try await room.load(directory: directory, precision: model.request, policy: try BatchPolicy(), segments: try model.cut)
            answer = Check(
                "model", .ok, "\(ready.name) gives its known answer on \(ready.standing)")
        } catch {
            answer = Check("model", error)
        }
        let milliseconds = Int(began.duration(to: .now) / .milliseconds(1))
        let device = room.fleet.status().devices.first
        await room.shutdown()
        guard let identity = device?.identity else {
            let reason = device?.lastReason.map { ": \($0)" } ?? ""
            return [Check("worker", .failed, "no worker process came up\(reason)", advice: "Serve with --in-process, which needs none"), answer]
        }
        return [
            Check(
                "worker", .ok,
                "process \(identity.pid) said hello with ONNX Runtime \(identity.engineVersion); start, model and known answer took \(milliseconds) ms"),
            answer,
        ]
    }

    private func checkSharedMemory() -> Check {
        do throws(ApusError) {
            var region = try SharedRegion.create(limit: Self.regionBytes)
            try region.reserve(Self.regionBytes)
            return Check("shared memory", .ok, "\(region.byteCount >> 20) MiB between two processes can be had")
        } catch {
            return Check("shared memory", error)
        }
    }

    private static let regionBytes = 16 << 20

    private func checkGPUs(_ machine: MachineInventory) -> Check {
        if let absence = machine.absence { return Check("gpus", .ok, "none: \(absence)") }
        let gpus = machine.search.gpus.map { "\($0.device) \($0.name) (\($0.health.verdict))" }.joined(separator: ", ")
        let sick = machine.search.gpus.flatMap { gpu in gpu.health.findings.map { "\(gpu.device) \($0.text)" } }
        guard sick.isEmpty else { return Check("gpus", .warning, "\(gpus): \(sick.joined(separator: "; "))", advice: "`apus gpu info` tells more") }
        if let offer = try? machine.engine.get(), !offer.providers.contains("CUDAExecutionProvider") {
            return Check("gpus", .warning, "\(gpus), which this engine has no provider for", advice: "Install onnxruntime-gpu and name the libonnxruntime.so in its folder onnxruntime/capi in APUS_ENGINE")
        }
        return Check("gpus", .ok, "\(gpus), driver \(machine.driver.version ?? "unknown"), CUDA up to \(machine.driver.cuda ?? "unknown")")
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

    private func checkThreads(_ cpu: CPUTopology) -> Check {
        let cores = cpu.available
        return Check("threads", .ok, "\(cores) core\(cores == 1 ? "" : "s") for computing, one lane on each")
    }

    private func checkCores(_ cpu: CPUTopology) -> Check {
        let sets = cpu.partition(into: 2)
        let halves = sets.map { CPUTopology.ranges($0.cores) }.joined(separator: " and ")
        let isShared = sets.contains(where: \.isShared)
        return Check("cores", .ok, "\(cpu.sentence); --devices cpu:2 has \(halves), \(isShared ? "shared" : "disjoint")")
    }

    private func checkFeatures() -> Check {
        let features = CPUFeatures.current
        let names = features.names.isEmpty ? "no vector instructions that the system tells of" : features.names.joined(separator: ", ")
        let products = [Precision.bf16, .int8].map { precision in
            "\(precision.rawValue) \(features.instructions(for: precision).map { "with \($0)" } ?? "not faster than fp32")"
        }
        return Check("cpu features", .ok, "\(names); products of \(products.joined(separator: ", "))")
    }

    private func report(_ checks: [Check]) throws {
        guard json else {
            for check in checks {
                let status = check.status.rawValue.uppercased().padding(toLength: 8, withPad: " ", startingAt: 0)
                try Terminal.standardOutput(Paragraph("\(check.name): \(check.detail)", first: status).text)
                if let advice = check.advice { try Terminal.standardOutput(Paragraph(advice, first: "        ").text) }
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
