import ApusDevices
import ApusErrors
import ApusTensor
import Testing

@Suite struct MonitorLineTests {
    @Test func everySnapshotReadsBackAsItWas() throws {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            let line = MonitorLine.snapshot(.random(using: &random))
            let json = line.json
            #expect(!json.contains(UInt8(ascii: "\n")))
            #expect(try MonitorLine(json: json) == line)
        }
    }

    @Test func theLastLinesReadBack() throws {
        for line in [MonitorLine.absent(reason: "no \"driver\"\nat all"), .failed(reason: "é")] {
            #expect(!line.json.contains(UInt8(ascii: "\n")))
            #expect(try MonitorLine(json: line.json) == line)
        }
    }

    @Test func anythingElseIsAnErrorAndNeverATrap() throws {
        var random = SeededGenerator(seed: 4)
        let good = MonitorLine.snapshot(.random(using: &random)).json
        for text in [
            "", "{}", "[]", "{\"kind\":\"other\"}", "{\"kind\":\"absent\"}", "{\"kind\":\"snapshot\",\"numbering\":\"x\",\"notes\":[]}",
            "{\"kind\":\"snapshot\",\"numbering\":\"bus\",\"notes\":[],\"devices\":[{\"device\":\"cuda:9999999999\",\"name\":\"\",\"uuid\":\"\"}]}",
            "{\"kind\":\"snapshot\",\"numbering\":\"bus\",\"notes\":[],\"devices\":[1]}",
        ] {
            #expect(throws: ApusError.self) { try MonitorLine(json: Array(text.utf8)) }
        }
        for cut in 0..<good.count {
            #expect(throws: ApusError.self) { try MonitorLine(json: Array(good[..<cut])) }
        }
        for _ in 0..<5_000 {
            var bytes = good
            bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0x20..<0x7F, using: &random)
            _ = try? MonitorLine(json: bytes)
        }
    }
}

extension DeviceSnapshot {
    static func random(using random: inout SeededGenerator) -> DeviceSnapshot {
        func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
        let count = Int.random(in: 0...4, using: &random)
        var snapshot = DeviceSnapshot(
            driverVersion: maybe("580.65"), cudaVersion: maybe("13.0"), numbering: Bool.random(using: &random) ? .driver : .busOrder,
            notes: maybe(["a \"note\"", "π"]) ?? [])
        for number in 0..<count {
            var info = GPUInfo(device: DeviceID(.cuda, number), name: "N\(number)", uuid: maybe("GPU-\(number)") ?? "")
            info.nvmlIndex = maybe(7)
            info.pciBusID = maybe("0000:3B:00.0")
            info.computeCapability = maybe(.init(9, 0))
            info.driverVersion = maybe("580")
            info.cudaVersion = maybe("12.8")
            let answers: [DeviceSample.Answer] = [.given, .lost, .needsReset, .failed(code: 999)]
            var sample = DeviceSample(device: info.device, answer: answers.randomElement(using: &random) ?? .given)
            sample.memory = maybe(.init(totalBytes: .max, usedBytes: 1, freeBytes: 2))
            sample.utilizationPercent = maybe(100)
            sample.temperatureCelsius = maybe(-3)
            sample.slowdownCelsius = maybe(89)
            sample.shutdownCelsius = maybe(92)
            sample.powerMilliwatts = maybe(700_000)
            sample.powerLimitMilliwatts = maybe(1)
            sample.clockEvents = ClockEvents(rawValue: .random(in: 0 ... .max, using: &random))
            sample.eccCorrected = maybe(.max)
            sample.eccUncorrected = maybe(0)
            sample.remappedRows = maybe(.init(corrected: 1, uncorrected: 2, isPending: true, hasFailed: false))
            sample.hasRetiredPagesPending = maybe(true)
            sample.pcieReplays = maybe(9)
            sample.recovery = maybe(RecoveryAdvice.allCases.randomElement(using: &random) ?? .reset)
            sample.xids = maybe([79, 31]) ?? []
            info.sample = maybe(sample)
            snapshot.devices.append(info)
        }
        if count > 1 {
            let connection = DeviceLink.Connection(
                ancestor: maybe(DeviceLink.Ancestor.allCases.randomElement(using: &random) ?? .system), canReadPeer: maybe(true),
                hasNVLink: maybe(false))
            snapshot.links = [DeviceLink(DeviceID(.cuda, 0), DeviceID(.cuda, 1), connection)]
        }
        snapshot.silent = maybe([.init(nvmlIndex: 5, answer: .failed(code: 1))]) ?? []
        return snapshot
    }
}
