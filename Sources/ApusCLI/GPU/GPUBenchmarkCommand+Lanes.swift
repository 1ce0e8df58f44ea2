import Apus
import ApusErrors
import ApusExecution
import ApusFleet
import ApusJSON
import ApusTensor
import ArgumentParser

extension GPUBenchmarkCommand {
    /// Every CPU device of two cores or more, those that stand by too.
    func measureLanes(_ members: [FleetPlan.Member], _ directory: String) async throws {
        let trials = SpeedTrials(
            installation: model.installation, engineLibrary: try model.installation.engineLibrary(),
            execution: .workers(executable: try MachineInventory.executable()))
        var devices: [(name: String, ways: [SpeedTrials.Arrangement])] = []
        for member in members {
            let ways = try await trials.measureWays(of: member, model: directory, model.request)
            if !ways.isEmpty { devices.append(("\(member.settings.device)", ways)) }
        }
        try Terminal.standardOutput(json ? Self.json(devices) : Self.text(devices))
    }

    private static func text(_ devices: [(name: String, ways: [SpeedTrials.Arrangement])]) -> String {
        guard !devices.isEmpty else { return Paragraph("No CPU device of two cores or more is used").text }
        let cells = devices.flatMap { device in
            let best = SpeedTrials.best(of: device.ways)?.member.settings.lanes
            return device.ways.map { way in
                let settings = way.member.settings
                return [
                    device.name, String(settings.lanes), String(settings.helpers), Figures.number(way.textsPerSecond),
                    settings.lanes == best ? "servers use this" : "",
                ]
            }
        }
        return TextTable(["DEVICE", "LANES", "THREADS BESIDE", "TEXTS/S", ""], cells, shortened: 4).text
    }

    private static func json(_ devices: [(name: String, ways: [SpeedTrials.Arrangement])]) -> String {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.key("results")
        writer.beginArray()
        for device in devices {
            let best = SpeedTrials.best(of: device.ways)?.member.settings.lanes
            for way in device.ways {
                writer.beginObject()
                writer.member("device", device.name)
                writer.member("lanes", way.member.settings.lanes)
                writer.member("helpers", way.member.settings.helpers)
                writer.key("texts_per_second")
                writer.number(way.textsPerSecond)
                writer.member("chosen", way.member.settings.lanes == best)
                writer.endObject()
            }
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }
}
