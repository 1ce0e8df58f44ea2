package import ApusErrors
import ApusJSON
import ApusTensor

/// One line that the monitor's process writes.
package enum MonitorLine: Sendable, Equatable {
    case snapshot(DeviceSnapshot)
    /// There is nothing to monitor, and asking again is of no use. The last line.
    case absent(reason: String)
    /// The monitor cannot go on. The last line.
    case failed(reason: String)
}

extension MonitorLine {
    /// JSON without a line break, and without the line break that ends it.
    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 4_096)
        writer.beginObject()
        switch self {
        case .absent(let reason):
            writer.member("kind", "absent")
            writer.member("reason", reason)
        case .failed(let reason):
            writer.member("kind", "failed")
            writer.member("reason", reason)
        case .snapshot(let snapshot):
            writer.member("kind", "snapshot")
            writer.snapshot(snapshot)
        }
        writer.endObject()
        return writer.bytes
    }

    /// Throws `invalid_json` or `invalid_value` for anything that ``json`` does not write.
    package init(json: [UInt8]) throws(ApusError) {
        let reader = try JSONReader(try JSONValue(parsing: json, limits: JSONLimits(depth: 8, values: 1 << 20)), place: "")
        switch try reader.string("kind") {
        case "absent": self = .absent(reason: try reader.string("reason"))
        case "failed": self = .failed(reason: try reader.string("reason"))
        case "snapshot": self = .snapshot(try reader.snapshot())
        case let kind: throw ApusError(.invalidValue, "there is no line of kind \"\(kind)\"", place: "kind")
        }
    }
}

extension JSONWriter {
    fileprivate mutating func snapshot(_ snapshot: DeviceSnapshot) {
        optional("driver", snapshot.driverVersion)
        optional("cuda", snapshot.cudaVersion)
        member("numbering", snapshot.numbering == .driver ? "driver" : "bus")
        list("notes", snapshot.notes) { $0.string($1) }
        list("devices", snapshot.devices) { writer, device in
            writer.beginObject()
            writer.device(device)
            writer.endObject()
        }
        list("links", snapshot.links) { writer, link in
            writer.beginObject()
            writer.member("first", link.first.description)
            writer.member("second", link.second.description)
            writer.optional("ancestor", link.connection.ancestor?.rawValue)
            writer.optional("peer", link.connection.canReadPeer)
            writer.optional("nvlink", link.connection.hasNVLink)
            writer.endObject()
        }
        list("silent", snapshot.silent) { writer, gpu in
            writer.beginObject()
            writer.member("nvml_index", gpu.nvmlIndex)
            writer.answer(gpu.answer)
            writer.endObject()
        }
    }

    private mutating func device(_ info: GPUInfo) {
        member("device", info.device.description)
        member("name", info.name)
        member("uuid", info.uuid)
        optional("nvml_index", info.nvmlIndex)
        optional("bus", info.pciBusID)
        if let capability = info.computeCapability {
            list("capability", [capability.major, capability.minor]) { $0.integer($1) }
        }
        optional("driver", info.driverVersion)
        optional("cuda", info.cudaVersion)
        if let sample = info.sample {
            key("sample")
            beginObject()
            self.sample(sample)
            endObject()
        }
    }

    private mutating func sample(_ sample: DeviceSample) {
        answer(sample.answer)
        if let memory = sample.memory {
            list("memory", [memory.totalBytes, memory.usedBytes, memory.freeBytes]) { $0.integer($1) }
        }
        optional("utilization", sample.utilizationPercent)
        optional("temperature", sample.temperatureCelsius)
        optional("slowdown", sample.slowdownCelsius)
        optional("shutdown", sample.shutdownCelsius)
        optional("power", sample.powerMilliwatts)
        optional("power_limit", sample.powerLimitMilliwatts)
        // As text, because the numbers of JSON end at 63 bits and these do not.
        member("clocks", String(sample.clockEvents.rawValue))
        optional("ecc_corrected", sample.eccCorrected.map { String($0) })
        optional("ecc_uncorrected", sample.eccUncorrected.map { String($0) })
        if let rows = sample.remappedRows {
            list("remapped", [rows.corrected, rows.uncorrected, rows.isPending ? 1 : 0, rows.hasFailed ? 1 : 0]) { $0.integer($1) }
        }
        optional("retired_pending", sample.hasRetiredPagesPending)
        optional("replays", sample.pcieReplays)
        optional("recovery", sample.recovery?.rawValue)
        list("xids", sample.xids) { $0.integer($1) }
    }

    private mutating func answer(_ answer: DeviceSample.Answer) {
        switch answer {
        case .given: member("answer", "given")
        case .lost: member("answer", "lost")
        case .needsReset: member("answer", "needs_reset")
        case .failed(let code):
            member("answer", "failed")
            member("code", code)
        }
    }

    private mutating func list<Element>(_ name: String, _ elements: [Element], _ body: (inout JSONWriter, Element) -> Void) {
        key(name)
        beginArray()
        for element in elements { body(&self, element) }
        endArray()
    }

    private mutating func optional(_ name: String, _ value: String?) {
        if let value { member(name, value) }
    }

    private mutating func optional(_ name: String, _ value: Int?) {
        if let value { member(name, value) }
    }

    private mutating func optional(_ name: String, _ value: Bool?) {
        if let value { member(name, value) }
    }
}

extension JSONReader {
    fileprivate func snapshot() throws(ApusError) -> DeviceSnapshot {
        var snapshot = DeviceSnapshot()
        snapshot.driverVersion = try optionalString("driver")
        snapshot.cudaVersion = try optionalString("cuda")
        snapshot.numbering = try choice("numbering", ["driver": .driver, "bus": .busOrder])
        for note in try array("notes") { snapshot.notes.append(try note.stringValue(at: place(of: "notes"), code: code)) }
        for value in try array("devices") { snapshot.devices.append(try JSONReader(value, place: "devices.").info()) }
        for value in try array("links") {
            let reader = try JSONReader(value, place: "links.")
            let connection = DeviceLink.Connection(
                ancestor: try reader.optionalRaw("ancestor"), canReadPeer: try reader.optionalBool("peer"),
                hasNVLink: try reader.optionalBool("nvlink"))
            snapshot.links.append(DeviceLink(try reader.deviceID("first"), try reader.deviceID("second"), connection))
        }
        for value in try array("silent") {
            let reader = try JSONReader(value, place: "silent.")
            snapshot.silent.append(.init(nvmlIndex: try reader.integer("nvml_index"), answer: try reader.answer()))
        }
        return snapshot
    }

    private func info() throws(ApusError) -> GPUInfo {
        var info = GPUInfo(device: try deviceID("device"), name: try string("name"), uuid: try string("uuid"))
        info.nvmlIndex = try optionalInteger("nvml_index")
        info.pciBusID = try optionalString("bus")
        if let numbers = try integers("capability", 2) { info.computeCapability = .init(numbers[0], numbers[1]) }
        info.driverVersion = try optionalString("driver")
        info.cudaVersion = try optionalString("cuda")
        info.sample = try optionalReader("sample")?.sample(info.device)
        return info
    }

    private func sample(_ device: DeviceID) throws(ApusError) -> DeviceSample {
        var sample = DeviceSample(device: device, answer: try answer())
        sample.memory = try integers("memory", 3).map { .init(totalBytes: $0[0], usedBytes: $0[1], freeBytes: $0[2]) }
        sample.utilizationPercent = try optionalInteger("utilization")
        sample.temperatureCelsius = try optionalInteger("temperature")
        sample.slowdownCelsius = try optionalInteger("slowdown")
        sample.shutdownCelsius = try optionalInteger("shutdown")
        sample.powerMilliwatts = try optionalInteger("power")
        sample.powerLimitMilliwatts = try optionalInteger("power_limit")
        sample.clockEvents = ClockEvents(rawValue: try optionalWord("clocks") ?? 0)
        sample.eccCorrected = try optionalWord("ecc_corrected")
        sample.eccUncorrected = try optionalWord("ecc_uncorrected")
        sample.remappedRows = try integers("remapped", 4).map {
            .init(corrected: $0[0], uncorrected: $0[1], isPending: $0[2] != 0, hasFailed: $0[3] != 0)
        }
        sample.hasRetiredPagesPending = try optionalBool("retired_pending")
        sample.pcieReplays = try optionalInteger("replays")
        sample.recovery = try optionalRaw("recovery")
        for xid in try array("xids") { sample.xids.append(try xid.integerValue(at: place(of: "xids"), code: code)) }
        return sample
    }

    private func answer() throws(ApusError) -> DeviceSample.Answer {
        if try string("answer") == "failed" { return .failed(code: try integer("code")) }
        return try choice("answer", ["given": .given, "lost": .lost, "needs_reset": .needsReset])
    }

    private func deviceID(_ key: String) throws(ApusError) -> DeviceID {
        let text = try string(key)
        guard let device = DeviceID(text), device.index < 1 << 20 else { throw wrong(key, text) }
        return device
    }

    private func choice<Value>(_ key: String, _ choices: [String: Value]) throws(ApusError) -> Value {
        let text = try string(key)
        guard let value = choices[text] else { throw wrong(key, text) }
        return value
    }

    private func optionalRaw<Value: RawRepresentable<Int>>(_ key: String) throws(ApusError) -> Value? {
        guard let number = try optionalInteger(key) else { return nil }
        guard let value = Value(rawValue: number) else { throw wrong(key, String(number)) }
        return value
    }

    private func optionalWord(_ key: String) throws(ApusError) -> UInt64? {
        guard let text = try optionalString(key) else { return nil }
        guard let value = UInt64(text) else { throw wrong(key, text) }
        return value
    }

    private func integers(_ key: String, _ count: Int) throws(ApusError) -> [Int]? {
        guard let values = try optionalArray(key) else { return nil }
        guard values.count == count else { throw wrong(key, "\(values.count) numbers") }
        var numbers: [Int] = []
        for value in values { numbers.append(try value.integerValue(at: place(of: key), code: code)) }
        return numbers
    }

    private func wrong(_ key: String, _ text: String) -> ApusError {
        ApusError(code, "\"\(text)\" is not what the monitor writes", place: place(of: key))
    }
}
