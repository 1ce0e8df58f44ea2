import Apus
import ApusDevices
import ApusExecution
import ApusFleet
import ApusTensor
import ArgumentParser

extension GPUBenchmarkCommand {
    /// Prints the largest batches that fit on `members` and remembers them.
    func findFits(_ members: [FleetPlan.Member], _ directory: String) async throws {
        let trials = FitTrials(
            installation: model.installation, engineLibrary: try model.installation.engineLibrary(),
            execution: .workers(executable: try MachineInventory.executable()))
        var table = FitTable(model: Installation.name(ofDirectory: directory))
        let progress = ProgressLine(total: members.count, unit: "devices")
        for (place, member) in members.enumerated() {
            progress.update(done: place)
            do {
                let fit = try await trials.run(member, model: directory, model.request)
                table.rows.append(.init(device: member.settings.device, name: member.info.name, fit: fit))
            } catch {
                table.failures.append(.init(device: "\(member.settings.device)", reason: "\(error)"))
            }
        }
        progress.finish()
        try Terminal.standardOutput(json ? table.json : table.text)
        if !table.failures.isEmpty { throw ExitCode(ApusCommand.ExitStatus.failed.rawValue) }
    }
}
