import Apus
import ApusCheckpoint
import ApusConfiguration
import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusScheduling
import ApusTensor
import ArgumentParser
import Foundation

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Tell how a model would be spread over devices, and what that weighs.",
        discussion: """
            Nothing is loaded unless layers are to be measured: bytes are those of the checkpoint's tensors, costs what a server or --measure has measured \
            of its layers, else floating-point operations a token. What is impossible is refused with the arithmetic and the nearest plan that works. \
            Settings of the section `parallel` count where no option is given.
            """)

    @Argument(help: "The path of a model directory or of an ONNX file, or the name of an installed model.")
    var model: String

    @Option(help: "Devices, as `apus serve` takes them: cpu:4 (four logical CPU devices), cuda:0,1, … (default: auto)")
    var devices: String?

    @Option(help: "data_parallel, pipeline, tensor, hybrid, auto or none. (default: auto)")
    var strategy: String?

    @Option(help: "Devices that share each layer.")
    var tensorParallel: Int?

    @Option(help: "Stages that layers are cut into.")
    var pipelineParallel: Int?

    @Option(help: "Times that the model is loaded.")
    var replicas: Int?

    @Option(help: "Explicit stages, each with the first layer that it does not hold: 3:cpu:0,6:cpu:1.")
    var split: String?

    @Option(help: "Tensors of an ONNX file behind which it is cut into stages, comma-separated.")
    var cut: String?

    @Option(help: "MiB that each device may hold.")
    var memoryLimit: Int?

    @Option(help: "Tokens of a step, for activations. (default: 384 on CPUs, 16384 on accelerators)")
    var tokens: Int?

    @Option(help: "Batches in flight, for the utilisation of a pipeline.")
    var microBatches: Int = 8

    @Option(help: "A configuration file, YAML or TOML.")
    var config: String?

    @Flag(help: "Measure what each layer takes on the first device, unless that is known, and balance stages by it.")
    var measure = false

    @Flag(help: "Weigh layers by arithmetic, also where they were measured.")
    var arithmetic = false

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func validate() throws {
        let counts = [
            ("--tensor-parallel", tensorParallel), ("--pipeline-parallel", pipelineParallel), ("--replicas", replicas),
            ("--micro-batches", microBatches), ("--tokens", tokens), ("--memory-limit", memoryLimit),
        ]
        for (name, count) in counts {
            let most = name == "--memory-limit" ? 1 << 30 : name == "--tokens" ? 1 << 24 : 1_024
            if let count, !(1...most).contains(count) { throw ValidationError("\(name) must be from 1 to \(most).") }
        }
        guard !measure || !arithmetic else { throw ValidationError("Give --measure or --arithmetic, not both.") }
        if let strategy, ParallelWishes.Strategy(rawValue: strategy) == nil {
            throw ValidationError("--strategy must be one of \(ParallelWishes.Strategy.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
    }

    func run() async throws {
        let installation = Installation(home: home)
        if let split { _ = try SplitPoint.list(split, place: "--split") }
        let planning = try await PlanningDevices.find(
            file: config, options: options, memoryLimitBytes: memoryLimit.map { $0 << 20 }, installation: installation)
        let model = try subject(installation, planning.settings)
        let outline = model.outline
        let accelerates = planning.devices.contains { $0.id.kind.isAccelerator && $0.id.kind != .sim }
        let wishes = planning.settings.parallelWishes(of: outline.name, on: planning.devices.map(\.id))
        func request(_ outline: NetworkOutline) throws(ApusError) -> PlanRequest {
            try PlanRequest(
                outline, on: planning.devices, topology: planning.topology, wishes: wishes,
                tokens: tokens ?? (accelerates ? DeviceID.Kind.cuda : .cpu).tokenBudget, microBatches: microBatches)
        }
        let reckoned = try request(outline).plan()
        var table = PlanTable(plan: reckoned, model: outline, notes: planning.notes)
        if let known = try await measured(model, wishes, reckoned, planning, installation) {
            let measured = try request(known.outline)
            table = PlanTable(plan: try measured.plan(), model: known.outline, notes: planning.notes)
            table.measuredIn = known.form
            table.reckonedBalance = reckoned.balance(under: known.outline) { rank in
                planning.devices.first { $0.id == rank.device }?.plannedSpeed ?? 1
            }
        }
        try Terminal.standardOutput(json ? table.json : table.text)
    }

    /// The model with what its layers were measured to take; nil where that is not known and not asked for.
    private func measured(
        _ model: LayerTrials.Model, _ wishes: ParallelWishes, _ plan: Plan, _ planning: PlanningDevices, _ installation: Installation
    ) async throws(ApusError) -> (outline: NetworkOutline, form: String)? {
        guard !arithmetic, let device = plan.devices.first, let info = planning.infos[device] else { return nil }
        let library: String
        do throws(ApusError) {
            library = try installation.engineLibrary()
        } catch {
            if measure { throw error }
            return nil
        }
        let trials = LayerTrials(installation: installation, engineLibrary: library, execution: .workers(executable: try MachineInventory.executable()))
        if measure {
            let member = FleetPlan.Member(ExecutorSettings(device: device, lanes: 1, engineLibrary: library), info: info)
            let outline = try await trials.measured(model, cuts: wishes.cuts, on: member, sharing: plan.shape.tensor > 1)
            return (outline, "\(device)")
        }
        return try trials.known(model.outline, model.subject, cuts: wishes.cuts, on: device, named: info.name)
    }

    /// The model, cut where the settings want it.
    private func subject(_ installation: Installation, _ settings: ServeSettings) throws(ApusError) -> LayerTrials.Model {
        func cuts(_ name: String) -> [String] { settings.parallelWishes(of: name, on: []).cuts }
        if model.hasSuffix(".onnx") {
            let name = Installation.name(ofDirectory: String(model.dropLast(".onnx".count)))
            let file = try ONNXFile(path: model)
            let outline = try NetworkOutline(file, try file.pieces(cuts(name)), name: name)
            return LayerTrials.Model(outline: outline, subject: .file(file), precision: PrecisionRequest(), path: model)
        }
        let directory = try installation.modelDirectory(model)
        let name = Installation.name(ofDirectory: directory)
        let outline = try NetworkOutline(Checkpoint(directory: directory), name: name, cuts: cuts(name))
        return LayerTrials.Model(outline: outline, subject: .directory(directory), precision: PrecisionRequest(), path: directory)
    }

    /// The command line as settings, which go before environment and file.
    private var options: [ConfigurationOption] {
        let given: [(String, String, String?)] = [
            ("--devices", "devices.list", devices), ("--strategy", "parallel.strategy", strategy),
            ("--tensor-parallel", "parallel.tensor_parallel", tensorParallel.map(String.init)),
            ("--pipeline-parallel", "parallel.pipeline_parallel", pipelineParallel.map(String.init)),
            ("--replicas", "parallel.replicas", replicas.map(String.init)), ("--split", "parallel.splits", split),
            ("--cut", "parallel.cuts", cut),
        ]
        return given.compactMap { spelling, key, value in value.map { ConfigurationOption(spelling, sets: key, to: [$0]) } }
    }
}
