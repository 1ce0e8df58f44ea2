import Apus
import ApusConfiguration
import ApusDevices
import ApusErrors
import ApusPlacement
import ApusTensor
import Foundation

/// The devices of this machine that a plan is made for.
struct PlanningDevices {
    let settings: ServeSettings
    let devices: [PlanDevice]
    let topology: DeviceTopology
    /// What is known of each.
    let infos: [DeviceID: GPUInfo]
    /// What a reader of the plan should know about them.
    let notes: [String]

    /// Throws what settings and lists of devices are refused with.
    ///
    /// - Parameter memoryLimitBytes: of each device; nil for what settings say of accelerators.
    static func find(
        file: String?, options: [ConfigurationOption], memoryLimitBytes: Int?, installation: Installation
    ) async throws(ApusError) -> PlanningDevices {
        let environment = ProcessInfo.processInfo.environment
        let executable = try MachineInventory.executable()
        let finding = await GPUSearch(executable: executable, environment: environment).run()
        let (settings, _) = try ServeSettings.read(
            file: file, environment: environment, options: options, machine: MachineFeatures(cudaDevices: finding.gpus.count))
        let wishes = try settings.deviceWishes { _ in nil }
        var inventory = Inventory(cpu: .current, gpus: finding.gpus, gpuAbsence: finding.absence, simulation: .allowed)
        if !finding.gpus.isEmpty || !settings.plugins.isEmpty {
            inventory = try await EngineOffer.inventory(
                finding, topology: .current, engineLibrary: try installation.engineLibrary(), plugins: settings.plugins,
                execution: .workers(executable: executable))
        }
        let resolution: DeviceList.Resolution
        do throws(ApusError) {
            resolution = try wishes.list.devices.resolve(in: inventory)
        } catch {
            throw wishes.list.origin.error(error.message, advice: error.advice)
        }
        var resolved = resolution.devices
        let accelerators = resolved.filter { $0.id.kind.isAccelerator }
        // Nobody who leaves the choice to Apus means the CPU beside accelerators.
        if wishes.list.devices == .automatic, !accelerators.isEmpty { resolved = accelerators }
        var notes = resolution.warnings
        if Set(resolved.map(\.id.kind)).count > 1 { notes.append("the speeds of devices of several kinds were not measured: an accelerator counts as one CPU thread") }
        let devices = resolved.map { device in
            PlanDevice(device, memoryLimitBytes: memoryLimitBytes ?? (device.id.kind.isAccelerator ? wishes.sessions.memoryLimitBytes : nil))
        }
        return PlanningDevices(settings: settings, devices: devices, topology: DeviceTopology(finding.links),
            infos: Dictionary(resolved.map { ($0.id, $0.info) }) { first, _ in first }, notes: notes)
    }
}
