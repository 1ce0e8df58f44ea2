import Apus
import ApusDevices
import ApusErrors
import ApusHTTP
import ApusJSON
import ApusService
import ApusTensor
import ArgumentParser

struct GPUInfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Tell what this machine and its engine have to compute on.",
        discussion: "GPUs are asked in a process of its own, which is given up when the driver does not answer.")

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The library of a plugin provider to load as well, KIND=LIBRARY with a kind such as openvino. May be given several times.")
    var plugin: [String] = []

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    /// By the kind of their devices.
    private func plugins() throws -> [DeviceID.Kind: String] {
        var plugins: [DeviceID.Kind: String] = [:]
        for text in plugin {
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let kind = DeviceID.Kind(rawValue: String(parts[0])), plugins[kind] == nil else {
                throw ValidationError("--plugin takes KIND=LIBRARY, each kind once, not \(text).")
            }
            plugins[kind] = String(parts[1])
        }
        return plugins
    }

    func validate() throws { _ = try plugins() }

    func run() async throws {
        let machine = try await MachineInventory.look(Installation(home: home), plugins: try plugins())
        try Terminal.standardOutput(json ? Self.json(machine) : Self.text(machine))
    }
}

// MARK: - For people

extension GPUInfoCommand {
    static func text(_ machine: MachineInventory) -> String {
        var text = ""
        if let absence = machine.absence {
            text += Paragraph("no NVIDIA GPU: \(absence)", first: "GPUs    ").text
        } else {
            text += gpus(machine)
        }
        for note in machine.search.notes { text += Paragraph(note, first: "        ").text }
        text += Paragraph(machine.cpu.sentence, first: "cpu     ").text
        switch machine.engine {
        case .success(let offer):
            text += Paragraph("ONNX Runtime \(offer.version) with \(offer.providers.joined(separator: ", "))", first: "engine  ").text
            for device in offer.devices { text += Paragraph("\(device.provider): \(device.name)", first: "        ").text }
            for refusal in offer.refused { text += Paragraph("\(refusal.provider) cannot be used: \(refusal.reason)", first: "        ").text }
        case .failure(let error):
            text += Paragraph(error.description, first: "engine  ").text
        }
        return text
    }

    private static func gpus(_ machine: MachineInventory) -> String {
        let figures = machine.search.gpus.map { info -> [String] in
            let gpu = GPUDescription(info)
            return [
                "\(info.device)", info.name,
                Figures.memory(gpu.memory.map { Double($0.usedBytes) / 1_048_576 }, of: gpu.memory.map { Double($0.totalBytes) / 1_048_576 }),
                gpu.utilizationPercent.map { "\($0) %" } ?? Figures.unknown, gpu.temperatureCelsius.map { "\($0) C" } ?? Figures.unknown,
                power(gpu), info.health.verdict,
            ]
        }
        let identities = machine.search.gpus.map { info in
            [
                "\(info.device)", info.nvmlIndex.map(String.init) ?? Figures.unknown, info.computeCapability?.description ?? Figures.unknown,
                info.pciBusID ?? Figures.unknown, info.uuid,
            ]
        }
        var text = TextTable(["DEVICE", "NAME", "MEMORY", "UTIL", "TEMP", "POWER", "HEALTH"], figures, shortened: 1).text + "\n"
        text += TextTable(["DEVICE", "NVML", "COMPUTE", "BUS", "UUID"], identities).text + "\n"
        for info in machine.search.gpus {
            for finding in info.health.findings { text += Paragraph("\(finding.outcome): \(finding.text)", first: "\(info.device): ").text }
        }
        let driver = machine.driver
        return text + Paragraph("\(driver.version ?? "unknown"), CUDA up to \(driver.cuda ?? "unknown")", first: "driver  ").text
    }

    private static func power(_ gpu: GPUDescription) -> String {
        guard let watts = gpu.powerWatts else { return Figures.unknown }
        guard let limit = gpu.powerLimitWatts else { return "\(Int(watts.rounded())) W" }
        return "\(Int(watts.rounded()))/\(Int(limit.rounded())) W"
    }
}

// MARK: - For programs

extension GPUInfoCommand {
    static func json(_ machine: MachineInventory) -> String {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.key("devices")
        writer.beginArray()
        for info in machine.search.gpus { write(info, to: &writer) }
        write(machine.cpu, to: &writer)
        writer.endArray()
        writer.key("nvml")
        writer.beginObject()
        writer.member("available", machine.absence == nil)
        writer.optional("reason", machine.absence)
        writer.optional("driver_version", machine.driver.version)
        writer.optional("cuda_version", machine.driver.cuda)
        writer.endObject()
        writer.strings("notes", machine.search.notes)
        writer.key("links")
        writer.beginArray()
        for link in machine.search.links { write(link, to: &writer) }
        writer.endArray()
        writer.key("engine")
        write(machine.engine, to: &writer)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }

    private static func write(_ info: GPUInfo, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("device", info.device.description)
        writer.member("index", info.device.index)
        writer.member("kind", info.device.kind.rawValue)
        writer.member("name", info.name)
        writer.member("uuid", info.uuid)
        writer.key("health")
        DevicesAnswer.write(info.health, to: &writer)
        writer.key("gpu")
        DevicesAnswer.write(GPUDescription(info), to: &writer)
        writer.key("cpu")
        writer.null()
        writer.endObject()
    }

    private static func write(_ cpu: CPUTopology, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("device", "cpu:0")
        writer.member("index", 0)
        writer.member("kind", "cpu")
        writer.member("name", cpu.modelName ?? "CPU")
        writer.member("uuid", "")
        writer.key("health")
        DevicesAnswer.write(DeviceDescription.Health(verdict: "healthy"), to: &writer)
        writer.key("gpu")
        writer.null()
        writer.key("cpu")
        writer.beginObject()
        writer.key("cores")
        writer.beginArray()
        for number in cpu.coreNumbers { writer.integer(number) }
        writer.endArray()
        writer.member("physical_cores", cpu.physicalCoreCount)
        writer.key("quota")
        if let quota = cpu.quota { writer.number(quota) } else { writer.null() }
        writer.member("available", cpu.available)
        writer.endObject()
        writer.endObject()
    }

    private static func write(_ link: DeviceLink, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("first", link.first.description)
        writer.member("second", link.second.description)
        writer.optional("ancestor", link.connection.ancestor.map { "\($0)" })
        writer.optional("nvlink", link.connection.hasNVLink)
        writer.optional("peer_access", link.connection.canReadPeer)
        writer.endObject()
    }

    private static func write(_ engine: Result<EngineOffer, ApusError>, to writer: inout JSONWriter) {
        writer.beginObject()
        switch engine {
        case .success(let offer):
            writer.member("version", offer.version)
            writer.strings("providers", offer.providers)
            writer.key("devices")
            writer.beginArray()
            for device in offer.devices {
                writer.beginObject()
                writer.member("provider", device.provider)
                writer.member("name", device.name)
                writer.endObject()
            }
            writer.endArray()
            writer.key("refused")
            writer.beginArray()
            for refusal in offer.refused {
                writer.beginObject()
                writer.member("provider", refusal.provider)
                writer.member("reason", refusal.reason)
                writer.endObject()
            }
            writer.endArray()
            writer.optional("error", String?.none)
        case .failure(let error):
            writer.member("error", error.description)
        }
        writer.endObject()
    }
}
