import Apus
import ApusBatching
import ApusConfiguration
import ApusDevices
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusHTTP
import ApusObservability
import ApusService
import ApusSimulation
import ApusTensor
import ArgumentParser
import Foundation
import Logging
import Metrics

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve models over HTTP.",
        discussion: "Without --model and without models in the configuration, the default model \(Installation.defaultModel) is served.")

    @Option(help: "A model to serve: the path of its directory, or the name of an installed model. May be given several times.")
    var model: [String] = []

    @Option(help: "The address to listen on. (default: 127.0.0.1)")
    var host: String?

    @Option(help: "The port to listen on; 0 lets the system choose. (default: 8080)")
    var port: Int?

    @Option(help: "A configuration file, YAML or TOML.")
    var config: String?

    @Option(help: "The arithmetic: fp32, bf16, fp16, int8, int4 or auto. (default: auto)")
    var precision: Precision?

    @Option(help: "The lowest cosine to fp32 to serve with, 0 to 1. (default: 0.9999; int8 0.99, int4 0.95 where asked for)")
    var precisionFloor: Double?

    @Option(help: "Parts of a network that a device runs one after the other: a number, or auto. (default: auto, whole where it fits)")
    var segments: String?

    @Option(help: "Weights for which a device has no memory: never (refuse), auto (read them segment by segment), always. (default: auto)")
    var offload: Offload?

    @Option(help: "Devices to serve on: auto, cpu, cpu:2 (two logical CPU devices), cuda:0,1.")
    var devices: String?

    @OptionGroup var parallel: ParallelOptions

    @Flag(help: "Compute every text, also those that were embedded before.")
    var noCache = false

    @Option(help: "The folder with collections, or the postgres:// address of a database that servers share. (default: apus in the XDG data folder)")
    var data: String?

    @Flag(help: "Compute in this process instead of one worker process for each device.")
    var inProcess = false

    @Option(help: "TEST MODE. Failures to cause on purpose: DEVICE:FAULT@WHEN[xN], comma-separated.")
    var chaos: String?

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func validate() throws {
        if let port, !(0...65535).contains(port) { throw ValidationError("--port must be from 0 to 65535.") }
    }

    /// The flags that were given, as settings of the configuration.
    private var options: [ConfigurationOption] {
        var options: [ConfigurationOption] = []
        if !model.isEmpty { options.append(ConfigurationOption("--model", sets: "models", to: model)) }
        if let host { options.append(ConfigurationOption("--host", sets: "server.host", to: [host])) }
        if let port { options.append(ConfigurationOption("--port", sets: "server.port", to: ["\(port)"])) }
        if let precision {
            options.append(ConfigurationOption("--precision", sets: "precision", to: [precision.rawValue]))
        }
        if let precisionFloor {
            options.append(ConfigurationOption("--precision-floor", sets: "precision_floor", to: ["\(precisionFloor)"]))
        }
        if let segments { options.append(ConfigurationOption("--segments", sets: "segments", to: [segments])) }
        if let offload { options.append(ConfigurationOption("--offload", sets: "offload", to: [offload.rawValue])) }
        if let devices { options.append(ConfigurationOption("--devices", sets: "devices.list", to: [devices])) }
        if inProcess { options.append(ConfigurationOption("--in-process", sets: "devices.in_process", to: ["true"])) }
        if noCache { options.append(ConfigurationOption("--no-cache", sets: "cache.enabled", to: ["false"])) }
        if let data { options.append(ConfigurationOption("--data", sets: "data_dir", to: [data])) }
        return options + parallel.options
    }

    func run() async throws {
        // A client that goes away while it is written to must not end the server.
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap { LineLogHandler(label: $0) }
        let registry = PrometheusRegistry()
        registry.reportProcess()
        MetricsSystem.bootstrap(PrometheusMetricsFactory(registry))
        let logger = Logger(label: "apus")

        let installation = Installation(home: home)
        let setup = try await ServeSetup.make(
            file: config, environment: ProcessInfo.processInfo.environment, options: options, installation: installation, chaos: chaos)
        setup.announce(logger)
        let settings = setup.settings
        try settings.http.checkAddress()
        let cache = try settings.caching(chaos: chaos != nil).open()
        if let cache { registry.report(cache) }
        let room = try EngineRoom(
            installation: installation, plan: setup.planned.fleet, execution: setup.execution, optimization: settings.optimization.level,
            cache: cache)
        room.metrics.chaos(isActive: chaos != nil)
        let sampling = try setup.sampling(of: room)
        let catalog = LoadedModels(setup.models, assignments: setup.planned.assignments, room: room, clients: settings.access.clients, cachePerKey: settings.configuration.cache.isPerKey,
            logger: logger)
        let collections = settings.collections(environment: ProcessInfo.processInfo.environment)
        let server = HTTPServer(
            configuration: settings.http,
            service: InferenceService(
                catalog: catalog,
                devices: ServedDevices(
                    fleet: room.fleet, memory: room.memory, models: catalog, cache: cache, chaos: chaos, directory: FileManager.default.currentDirectoryPath),
                collections: collections,
                limits: settings.limits,
                access: settings.access),
            limits: settings.limits,
            logger: Logger(label: "apus.http"),
            metrics: { (registry.text(), PrometheusRegistry.contentType) },
            onListening: { port in
                logger.info("listening on http://\(settings.http.host):\(port)")
            })

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.runUntilSignalled() }
            group.addTask {
                try await catalog.loadAll()
                // The server ends the group; loading has nothing left to do until then.
                try await Task.sleep(for: .seconds(.max / 4))
            }
            // Whatever ends first decides: the server by draining, or a model by failing.
            var failure: (any Error)?
            do {
                try await group.next()
            } catch is CancellationError {
            } catch {
                failure = error
            }
            group.cancelAll()
            // Whoever still loads waits for devices, and is told that there are none.
            sampling.stop()
            await collections.close()
            await room.shutdown()
            if let failure { throw failure }
        }
    }
}
