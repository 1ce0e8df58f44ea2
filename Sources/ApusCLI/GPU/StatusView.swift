import ApusErrors
import ApusJSON

/// The status of a server's devices as tables, made of what `GET /v1/devices` answers.
struct StatusView {
    /// One row of each table, and what is to be said about the device.
    struct Device {
        let name: String
        let standing: [String]
        let hardware: [String]
        /// What is loaded; nil where nothing is known of it.
        let weights: [String]?
        let remarks: [String]
    }

    let devices: [Device]
    let summary: [String]
    /// How devices share models; nil where each holds whole ones by itself.
    let plan: PlanView?

    /// Throws `invalid_value` for anything that no Apus answers.
    init(_ report: JSONReader) throws(ApusError) {
        var devices: [Device] = []
        for value in try report.array("devices") { devices.append(try Device(try JSONReader(value, place: "devices."))) }
        self.devices = devices
        summary = try Self.summary(report)
        plan = try report.optionalReader("plan").map { plan throws(ApusError) in try PlanView(plan) }
    }

    /// The report's own lines, without those about devices.
    private static func summary(_ report: JSONReader) throws(ApusError) -> [String] {
        var lines: [String] = []
        let served = try report.optionalNumber("uptime_pct").map { ", served \(Figures.percent($0 / 100)) of the time" } ?? ""
        let engine = try report.optionalString("engine") ?? "no engine yet"
        lines.append("\(engine), up \(Figures.duration(try report.number("uptime_seconds")))\(served)")
        let latency = try report.optionalNumber("average_latency_ms").map { "\(Figures.number($0)) ms a batch" } ?? "no batch yet"
        lines.append(
            "capacity \(Figures.percent(try report.number("capacity"))), remedy \(try report.string("remedy")), fallback rate \(Figures.percent(try report.number("fallback_rate"))), \(latency), \(Figures.number(try report.number("texts_per_second"))) texts/s")
        if let cache = try report.optionalReader("cache") { lines += try Self.lines(ofCache: cache) }
        if let chaos = try report.optionalString("chaos") { lines.append("TEST MODE: it fails on purpose: \(chaos)") }
        return lines
    }

    private static func lines(ofCache cache: JSONReader) throws(ApusError) -> [String] {
        let (hits, misses) = (try cache.integer("hits"), try cache.integer("misses"))
        let share = hits > 0 ? ", \(Figures.percent(Double(hits) / (Double(hits) + Double(misses)))) of what was asked" : ""
        var lines = [
            "cache: \(try cache.integer("entries")) of \(try cache.integer("max_entries")) texts, \(Figures.number(try cache.number("used_mb"))) of \(Figures.number(try cache.number("max_mb"))) MiB, \(hits) hits\(share)"
        ]
        for value in try cache.array("stores") {
            let store = try JSONReader(value, place: "cache.stores.")
            let level = try store.string("level")
            if let trouble = try store.optionalString("trouble") {
                lines.append("cache: done without its \(level): \(trouble)")
            } else {
                lines.append("cache: \(level) \(try store.bool("available") ? "used" : "not used yet"), \(try store.integer("writes")) written")
            }
        }
        return lines
    }

    var text: String {
        summary.map { Paragraph($0).text }.joined() + (plan.map { "\n\($0.text)" } ?? "") + "\n" + Self.tables(devices)
    }

    /// The tables, and the remarks under them.
    static func tables(_ devices: [Device]) -> String {
        var text = TextTable(Device.standingHeadings, devices.map(\.standing), shortened: 2).text
        text += "\n" + TextTable(Device.hardwareHeadings, devices.map(\.hardware), shortened: 4).text
        let weights = devices.compactMap(\.weights)
        if !weights.isEmpty { text += "\n" + TextTable(Device.weightsHeadings, weights).text }
        let remarks = devices.flatMap { device in device.remarks.map { Paragraph($0, first: "\(device.name): ").text } }
        if !remarks.isEmpty { text += "\n" + remarks.joined() }
        return text
    }
}

extension StatusView.Device {
    static let standingHeadings = ["DEVICE", "STATE", "STAGE", "GRADE", "MS/BATCH", "TEXTS/S", "RESTARTS", "PID"]
    static let hardwareHeadings = ["DEVICE", "MEMORY", "REUSE", "TEMP", "CUDA", "DRIVER", "TENSORRT", "LANES", "HEALTH"]
    static let weightsHeadings = ["DEVICE", "LAYERS", "EMBEDDING", "HEAD", "ALLOCATED", "PROMISED"]

    init(_ device: JSONReader) throws(ApusError) {
        name = try device.string("device")
        let state = try device.string("state")
        standing = [
            name, state, try device.string("stage"), try device.optionalString("grade") ?? Figures.unknown,
            Figures.number(try device.optionalNumber("average_latency_ms")), Figures.number(try device.number("texts_per_second")),
            String(try device.integer("restarts")), try device.optionalInteger("pid").map(String.init) ?? Figures.unknown,
        ]
        let (gpu, memory, health) = (try device.optionalReader("gpu"), try device.optionalReader("memory"), try device.reader("health"))
        let verdict = try health.string("verdict")
        hardware = [
            name, try Self.memory(gpu, memory), try Self.reuse(memory), try gpu?.optionalInteger("temperature_celsius").map { "\($0) C" } ?? Figures.unknown,
            try gpu?.optionalString("cuda_version") ?? Figures.unknown, try gpu?.optionalString("driver_version") ?? Figures.unknown,
            try device.bool("tensorrt") ? "on" : "off", String(try device.integer("lanes")), verdict,
        ]
        if let memory { weights = [name] + (try Self.weights(memory)) } else { weights = nil }
        var remarks: [String] = []
        if state != "serving", let reason = try device.optionalReader("last_reason") {
            remarks.append("\(state): \(try reason.string("text"))")
        }
        if let servesAs = try device.optionalString("serves_as"), servesAs != "none" {
            remarks.append("stands in for devices that are away, fallback \(servesAs)")
        }
        for value in try health.array("findings") {
            let finding = try JSONReader(value, place: "findings.")
            remarks.append("\(try finding.string("outcome")): \(try finding.string("text"))")
        }
        self.remarks = remarks
    }

    private static func weights(_ memory: JSONReader) throws(ApusError) -> [String] {
        let weights = try memory.reader("weights")
        let sizes = [
            try weights.number("layers_mb"), try weights.number("embedding_mb"), try weights.number("head_mb"), try memory.number("allocated_mb"),
            try memory.optionalNumber("promised_mb"),
        ]
        return sizes.map { size in size.map { "\(Figures.number($0)) MiB" } ?? Figures.unknown }
    }

    /// Share of tensors that were given storage of earlier ones.
    private static func reuse(_ memory: JSONReader?) throws(ApusError) -> String {
        guard let buffers = try memory?.optionalReader("buffers") else { return Figures.unknown }
        let (hits, misses) = (Double(try buffers.integer("hits")), Double(try buffers.integer("misses")))
        return hits + misses > 0 ? Figures.percent(hits / (hits + misses)) : Figures.unknown
    }

    /// What the driver counts, by any process, before what the engine's allocators hold.
    private static func memory(_ gpu: JSONReader?, _ memory: JSONReader?) throws(ApusError) -> String {
        if let driver = try gpu?.optionalReader("memory") {
            return Figures.memory(try driver.number("used_mb"), of: try driver.number("total_mb"))
        }
        return Figures.memory(try memory?.number("reserved_mb"), of: try memory?.number("total_mb"))
    }
}
