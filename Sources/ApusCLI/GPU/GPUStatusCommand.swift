import Apus
import ApusDevices
import ApusErrors
import ApusHTTP
import ApusJSON
import ApusService
import ApusTensor
import ArgumentParser
import Foundation
import NIOHTTP1

struct GPUStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Tell how the devices of a running server stand.",
        discussion: """
            Without --url the server at \(ServerConnection.standard) is asked. When none answers there, the devices of this machine are told as \
            they are. GRADE compares the time of a device's recent batches with its usual time for batches of their size: A up to 1.1 times, \
            B 1.25, C 1.5, D 2, F beyond.
            """)

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The server's address. (default: \(ServerConnection.standard), and this machine when none answers there)")
    var url: String?

    @Option(help: "Ask for a device that stays away to be tried now.")
    var probe: String?

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func validate() throws {
        if let probe, DeviceID(probe) == nil { throw ValidationError("--probe takes a device such as cuda:0.") }
        if let url, (try? ServerConnection(url)) == nil { throw ValidationError("--url takes an address such as \(ServerConnection.standard).") }
    }

    func run() async throws {
        let server = try ServerConnection(url ?? ServerConnection.standard)
        if let probe { return try Terminal.standardOutput(try await self.probe(probe, server)) }
        guard let answer = try await devices(of: server) else { return try Terminal.standardOutput(try await standalone()) }
        let report = try Self.object(answer, server)
        if json {
            var writer = JSONWriter(capacity: answer.body.count + 64)
            writer.beginObject()
            writer.member("server", server.url)
            for (key, value) in report.entries {
                writer.key(key)
                writer.value(value)
            }
            writer.endObject()
            return try Terminal.standardOutput(String(decoding: writer.bytes, as: UTF8.self) + "\n")
        }
        try Terminal.standardOutput("\(server.url)\n" + StatusView(JSONReader(report)).text)
    }

    /// Nil when no server was named and none listens at the usual place.
    private func devices(of server: ServerConnection) async throws(ApusError) -> ServerConnection.Answer? {
        do throws(ApusError) {
            return try await server.request(.GET, "/v1/devices")
        } catch {
            guard url == nil, error.code == .serverUnreachable else { throw error }
            return nil
        }
    }

    private func probe(_ device: String, _ server: ServerConnection) async throws(ApusError) -> String {
        let answer = try await server.request(.POST, "/v1/devices/\(device)/probe")
        let line = try Self.object(answer, server)
        guard !json else { return String(decoding: answer.body, as: UTF8.self) + "\n" }
        let view = try StatusView.Device(JSONReader(line))
        let remarks = view.remarks.map { Paragraph($0, first: "\(view.name): ").text }.joined()
        return TextTable(StatusView.Device.standingHeadings, [view.standing], shortened: 2).text + remarks
    }

    /// The body of a good answer. Throws the server's own error of a bad one.
    private static func object(_ answer: ServerConnection.Answer, _ server: ServerConnection) throws(ApusError) -> JSONObject {
        let stranger = ApusError(
            .serverSilent, "what listens at \(server.url) is no Apus server that shows its devices (status \(answer.status))",
            advice: "Name another with --url")
        guard let document = try? JSONValue(parsing: answer.body), case .object(let object) = document else { throw stranger }
        guard (200..<300).contains(answer.status) else {
            guard let error = try? JSONReader(object).reader("error"), let code = try? error.string("code"),
                let message = try? error.string("message"), code != "not_found"
            else { throw stranger }
            throw ApusError(ApusError.Code(rawValue: code), message)
        }
        return object
    }
}

// MARK: - Without a server

extension GPUStatusCommand {
    private func standalone() async throws(ApusError) -> String {
        let installation = Installation(home: home)
        let search = GPUSearch(executable: try MachineInventory.executable(), environment: ProcessInfo.processInfo.environment)
        let finding = await search.run()
        let cpu = CPUTopology.current
        var devices = finding.gpus.map { info in
            var device = DeviceDescription(
                device: info.device.description, kind: info.device.kind.rawValue, role: "intended", name: info.name, uuid: info.uuid,
                state: .unused, stage: "healthy", health: info.health)
            device.gpu = GPUDescription(info)
            return device
        }
        var processor = DeviceDescription(
            device: "cpu:0", kind: "cpu", role: devices.isEmpty ? "intended" : "standby", name: cpu.modelName ?? "CPU", state: .unused,
            stage: "healthy", health: .init(verdict: "healthy"))
        processor.cores = cpu.coreNumbers
        processor.lanes = cpu.available
        devices.append(processor)
        let engine = try? installation.engineLibrary()
        let absence = finding.gpus.isEmpty ? finding.absence ?? "the driver shows no GPU" : nil
        return json ? Self.json(devices, absence: absence, engine: engine) : try Self.text(devices, absence: absence, engine: engine)
    }

    private static func json(_ devices: [DeviceDescription], absence: String?, engine: String?) -> String {
        var writer = JSONWriter(capacity: 2048)
        writer.beginObject()
        writer.optional("server", String?.none)
        writer.key("devices")
        writer.beginArray()
        for device in devices { DevicesAnswer.write(device, to: &writer) }
        writer.endArray()
        writer.optional("gpu_absence", absence)
        writer.optional("engine_library", engine)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }

    private static func text(_ devices: [DeviceDescription], absence: String?, engine: String?) throws(ApusError) -> String {
        var writer = JSONWriter(capacity: 2048)
        writer.beginArray()
        for device in devices { DevicesAnswer.write(device, to: &writer) }
        writer.endArray()
        var views: [StatusView.Device] = []
        for value in try JSONValue(parsing: writer.bytes).arrayValue(at: "devices") { views.append(try StatusView.Device(JSONReader(value))) }
        var text = Paragraph("No server answers at \(ServerConnection.standard). The devices of this machine, as they are without one:").text
        text += "\n" + StatusView.tables(views) + "\n"
        if let absence { text += Paragraph("no NVIDIA GPU: \(absence)", first: "GPUs: ").text }
        return text + Paragraph(engine ?? "not installed, run `make setup`", first: "engine: ").text
    }
}
