import Apus
import ApusConfiguration
import ApusDevices
import ApusErrors
import ApusFleet
import ApusSimulation
import ApusTensor
import Logging

/// Everything that is decided before a server starts anything: settings, models, devices. Whatever is wrong is an error by then.
struct ServeSetup {
    let settings: ServeSettings
    let models: [ServeSettings.PlannedModel]
    let planned: PlannedFleet
    let execution: Execution
    private let notes: [ConfigurationNote]
    private let search: GPUSearch
    private let chaos: String?

    /// Throws `invalid_configuration`, `model_not_found`, `engine_missing`, and `invalid_value` for what the command line asks for and cannot
    /// have.
    static func make(
        file: String?, environment: [String: String], options: [ConfigurationOption], installation: Installation, chaos: String?
    ) async throws(ApusError) -> ServeSetup {
        guard let executable = Installation.runningExecutable else {
            throw ApusError(.fileUnreadable, "the path of this program is not known, so that no process can be started from it")
        }
        let search = GPUSearch(executable: executable, environment: environment)
        let list = options.last { $0.key == "devices.list" }?.values.last ?? environment["APUS_DEVICES"] ?? ""
        let finding = Self.cannotMeanGPUs(list) ? GPUSearch.Finding() : await search.run()
        let (settings, notes) = try ServeSettings.read(
            file: file, environment: environment, options: options, machine: MachineFeatures(cudaDevices: finding.gpus.count))
        let models = try settings.models(installation)
        let execution: Execution = settings.configuration.devices.isInProcess ? .inProcess : .workers(executable: executable)
        let wishes = try settings.deviceWishes { installation.cacheDirectory($0) }
        let library = try installation.engineLibrary()
        // A library that somebody named may be anything: that shows before a server is started.
        if installation.engineOverride != nil, case .workers(let executable) = execution {
            _ = try await EngineOffer.ask(executable: executable, engineLibrary: library, plugins: [:])
        }
        let inventory = try await EngineOffer.inventory(
            finding, topology: .current, engineLibrary: library, plugins: settings.plugins, execution: execution)
        var planner = FleetPlanner(
            wishes, inventory, engineLibrary: library,
            models: models.map { FleetPlanner.Need($0.id, bytes: Installation.weightBytes($0.directory)) }, links: finding.links)
        var planned = try planner.plan()
        if planner.wantsScores(for: planned), let model = models.first {
            let trials = SpeedTrials(installation: installation, engineLibrary: library, execution: execution)
            let outcome = try await trials.run(planned.fleet.members, model: model.directory, model.precision)
            planner.scores = outcome.scores
            planned = try planner.plan()
            for (device, error) in outcome.failures.sorted(by: { $0.key < $1.key }) {
                planned.notes.append(.init(.warning, "\(device) could not be tried with \(model.id): \(error)"))
            }
        }
        if let model = models.first {
            let trials = SpeedTrials(installation: installation, engineLibrary: library, execution: execution)
            planned = try planned.sharingCores { trials.best(of: $0, model: model.directory, model.precision) }
        }
        planned.notes = finding.notes.map { PlannedFleet.Note(.info, $0) } + planned.notes
        planned = try await planned.sharing(
            models, settings, links: finding.links, LayerTrials(installation: installation, engineLibrary: library, execution: execution))
        if let chaos { planned = try planned.failing(try ChaosScript(chaos, devices: planned.devices), execution: execution) }
        return ServeSetup(
            settings: settings, models: models, planned: planned, execution: execution, notes: notes, search: search, chaos: chaos)
    }

    /// Tells what was decided, and what of it may surprise.
    func announce(_ logger: Logger) {
        for note in notes { logger.notice("\(note)") }
        for note in planned.notes { logger.log(level: note.level == .warning ? .warning : .info, "\(note.text)") }
        for decision in planned.decisions where decision.outcome != .passedOver {
            logger.info("\(decision.device) \(decision.outcome == .chosen ? "is used" : "stands by"): \(decision.reason)")
        }
        for (model, device) in planned.assignments.sorted(by: { $0.key < $1.key }) { logger.info("\(model) is assigned to \(device)") }
        if let chaos { logger.warning("CHAOS: this server fails on purpose: \(chaos)") }
    }

    func sampling(of room: EngineRoom) throws(ApusError) -> DeviceSampling {
        let devices = settings.configuration.devices
        let interval = devices.healthInterval
        return try DeviceSampling(
            room.fleet, planned.fleet, command: search.monitor(every: interval), interval: interval,
            memoryInterval: devices.logsMemory ? devices.memoryInterval : nil, metrics: room.metrics, logger: Logger(label: "apus.devices"))
    }

    /// Whether a list that goes before every other names no GPU, so that none is looked for.
    private static func cannotMeanGPUs(_ list: String) -> Bool {
        guard case .named(let selectors)? = try? DeviceList(list) else { return false }
        return !selectors.contains { $0.kind == .cuda }
    }
}
