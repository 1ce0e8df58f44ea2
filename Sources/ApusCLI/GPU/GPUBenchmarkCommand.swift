import Apus
import ApusBatching
import ApusConfiguration
import ApusDevices
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusTensor
import ArgumentParser
import Foundation
import Logging

struct GPUBenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmark", abstract: "Measure every device against the CPU.",
        discussion: """
            Built-in texts of 4 to about 200 tokens go through the whole path from text to vectors, in worker processes as a server has them. \
            The row `cpu` is one device of all cores. Latencies are medians after a warm-up.
            """)

    @Option(help: "The devices to measure, as `apus serve` takes them. (default: auto)")
    var devices: String?

    @Option(help: "Texts in a request, comma-separated.")
    var batches: String = "1,32,128,512"

    @Option(help: "Seconds to measure each device and size, at least.")
    var seconds: Double = 2

    @Flag(help: "Find the largest batch that fits on every device instead, and remember it for servers. No time is measured.")
    var fit = false

    @Flag(help: "Measure how CPU devices best share their cores out instead, as many lanes or fewer with threads beside them, and remember it for servers.")
    var lanes = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var model: ModelOptions

    private static let largestBatch = 2048
    private static let fewestRounds = 3
    private static let mostRounds = 200

    private func sizes() throws -> [Int] {
        let parts = batches.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        let sizes = parts.compactMap { $0 }
        guard sizes.count == parts.count, !sizes.isEmpty, sizes.allSatisfy({ (1...Self.largestBatch).contains($0) }) else {
            throw ValidationError("--batches takes numbers from 1 to \(Self.largestBatch), separated by commas.")
        }
        return sizes
    }

    func validate() throws {
        _ = try sizes()
        guard seconds > 0, seconds <= 600 else { throw ValidationError("--seconds must be above 0 and at most 600.") }
    }

    func run() async throws {
        let (installation, sizes) = (model.installation, try sizes())
        let setup = try await ServeSetup.make(
            file: nil, environment: ProcessInfo.processInfo.environment,
            options: devices.map { [ConfigurationOption("--devices", sets: "devices.list", to: [$0])] } ?? [], installation: installation,
            chaos: nil)
        let directory = try installation.modelDirectory(model.model ?? Installation.defaultModel)
        if lanes { return try await measureLanes(setup.planned.fleet.members, directory) }
        if fit { return try await findFits(setup.planned.fleet.members.filter { $0.role == .intended }, directory) }
        var table = BenchmarkTable(model: Installation.name(ofDirectory: directory))
        let whole = try FleetPlan.wholeCPU(engineLibrary: try installation.engineLibrary()).members
        // One CPU device with all cores is the baseline already.
        let others = setup.planned.fleet.members.filter { $0.role == .intended && $0.settings != whole.first?.settings }
        let candidates = whole.map { (BenchmarkTable.baseline, $0) } + others.map { ("\($0.settings.device)", $0) }
        let progress = ProgressLine(total: candidates.count * sizes.count, unit: "measurements")
        progress.update(done: 0)
        for (place, (label, member)) in candidates.enumerated() {
            do {
                try await measure(member, label, directory, sizes, into: &table) { progress.update(done: place * sizes.count + $0) }
            } catch {
                table.failures.append(.init(device: label, reason: "\(error)"))
            }
        }
        progress.finish()
        try Terminal.standardOutput(json ? table.json : table.text)
        if !table.failures.isEmpty { throw ExitCode(ApusCommand.ExitStatus.failed.rawValue) }
    }

    private func measure(
        _ member: FleetPlan.Member, _ label: String, _ directory: String, _ sizes: [Int], into table: inout BenchmarkTable,
        progress: (Int) -> Void
    ) async throws {
        var logger = Logger(label: "apus.devices")
        logger.logLevel = .error
        let room = try EngineRoom(
            installation: model.installation, plan: try FleetPlan([member]),
            execution: .workers(executable: try MachineInventory.executable()), logger: logger)
        do {
            let ready = try await room.load(directory: directory, precision: model.request, policy: try BatchPolicy(), segments: try model.cut)
            for (place, size) in sizes.enumerated() {
                let (median, rounds) = try await median(ready, size)
                table.rows.append(
                    .init(
                        device: label, name: member.info.name, precision: ready.precision.rawValue, batch: size, milliseconds: median,
                        rounds: rounds))
                progress(place + 1)
            }
        } catch {
            await room.shutdown()
            throw error
        }
        await room.shutdown()
    }

    /// Milliseconds of a request, after a tenth of the time for warming up.
    private func median(_ ready: ReadyModel, _ size: Int) async throws -> (milliseconds: Double, rounds: Int) {
        let texts = CheckTexts.make(size).map { TextInput.text($0) }
        let warm = ContinuousClock.now + .seconds(seconds / 10)
        repeat { _ = try await ready.embedder.embed(texts) } while ContinuousClock.now < warm
        var times: [Double] = []
        let end = ContinuousClock.now + .seconds(seconds)
        while times.count < Self.fewestRounds || (ContinuousClock.now < end && times.count < Self.mostRounds) {
            let began = ContinuousClock.now
            _ = try await ready.embedder.embed(texts)
            times.append(began.duration(to: .now) / .milliseconds(1))
        }
        times.sort()
        let middle = times.count / 2
        return (times.count.isMultiple(of: 2) ? (times[middle - 1] + times[middle]) / 2 : times[middle], times.count)
    }
}
