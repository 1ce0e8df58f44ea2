import Apus
import ApusBatching
import ApusConfiguration
import ApusErrors
import ApusHTTP
import ApusService
import ApusTensor

/// What a server runs with: the configuration as the rooms take it.
struct ServeSettings {
    /// One model to load.
    struct PlannedModel: Sendable {
        var id: String
        var directory: String
        var precision: PrecisionRequest
        var segments: SegmentRequest
        /// Lowers the checkpoint's own limit.
        var maxTokens: Int?
        /// What is said of this model, and of all where nothing is.
        var batching: BatchPolicy
    }

    let http: HTTPConfiguration
    let limits: ServiceLimits
    let access: AccessControl
    let optimization: Configuration.GraphOptimization
    let configuration: Configuration
    /// Where each key was last set.
    let origins: [String: ConfigurationOrigin]

    /// Layers the command line over the environment over the file. Throws `invalid_configuration` with every problem found.
    static func read(
        file: String?, environment: [String: String], options: [ConfigurationOption], machine: MachineFeatures = MachineFeatures()
    ) throws(ApusError) -> (settings: ServeSettings, notes: [ConfigurationNote]) {
        do throws(ApusError) {
            let loaded = try Configuration.load(file: file, environment: environment, options: options, machine: machine)
            return (try ServeSettings(loaded), loaded.notes)
        } catch where error.code == .fileUnreadable {
            throw ApusError(.invalidConfiguration, error.message, place: error.place, advice: error.advice, cause: error.cause)
        }
    }

    /// A worker takes a socket and a shared memory region for each lane and for its loader, a control channel, and the far ends while it is
    /// started: 64 for everything else, 24 for each of eight devices of two lanes and its successor. An open collection has 6, and more while
    /// it is searched by several at once.
    private static let reservedDescriptors = 64 + 8 * 24 + 64 * 12

    private init(_ loaded: LoadedConfiguration) throws(ApusError) {
        configuration = loaded.configuration
        origins = loaded.origins
        let server = configuration.server
        var httpLimits = HTTPConfiguration.Limits()
        httpLimits.bodyBytes = server.maxBodyBytes
        httpLimits.totalBodyBytes = max(httpLimits.totalBodyBytes, server.maxBodyBytes)
        httpLimits.connections = server.maxConnections
        httpLimits.reservedDescriptors = Self.reservedDescriptors
        var timeouts = HTTPConfiguration.Timeouts()
        timeouts.header = server.headerTimeout
        timeouts.body = server.bodyTimeout
        timeouts.idle = server.idleTimeout
        timeouts.write = server.writeTimeout
        timeouts.drain = server.drainTimeout
        http = try HTTPConfiguration(
            host: server.host, port: server.port, limits: httpLimits, timeouts: timeouts,
            eventLoopThreads: server.eventLoopThreads)
        limits = try ServiceLimits(
            maxInputs: configuration.limits.maxInputs, maxInputBytes: configuration.limits.maxInputBytes)
        access = try AccessControl(configuration.auth)
        optimization = configuration.graphOptimization
    }

    /// What is asked of a model's precision: what its own section says, else what is said of accelerators and of all. The command line goes
    /// before every file.
    private func request(of model: Configuration.Model) -> PrecisionRequest {
        let floor = model.precisionFloor ?? configuration.precisionFloor
        if case .option = origins["precision"] { return PrecisionRequest(configuration.precision, floor: floor) }
        if let own = model.precision { return PrecisionRequest(own, floor: floor) }
        return PrecisionRequest(configuration.precision, accelerators: configuration.accelerators.effectivePrecision, floor: floor)
    }

    /// How a model is to be cut: what its own section says, else what is said of all. The command line goes before every file.
    private func segments(of model: Configuration.Model) throws(ApusError) -> SegmentRequest {
        var (segments, offload) = (model.segments ?? configuration.segments, model.offload ?? configuration.offload)
        if case .option = origins["segments"] { segments = configuration.segments }
        var onAccelerators = model.offload == nil ? configuration.accelerators.offloads.map { $0 ? Offload.auto : .never } : nil
        if case .option = origins["offload"] { (offload, onAccelerators) = (configuration.offload, nil) }
        let count: Int? = if case .count(let count) = segments { count } else { nil }
        return try SegmentRequest(segments: count, offload: Offload(rawValue: offload.rawValue) ?? .auto, onAccelerators: onAccelerators)
    }

    /// The models to serve with their directories found. Throws `model_not_found`, and `invalid_configuration` for a name used twice.
    func models(_ installation: Installation) throws(ApusError) -> [PlannedModel] {
        var named = configuration.models
        if named.isEmpty { named = [Configuration.Model(source: Installation.defaultModel)] }
        var plan: [PlannedModel] = []
        for model in named {
            let directory = try installation.modelDirectory(model.source)
            let id = model.id ?? Installation.name(ofDirectory: directory)
            guard !plan.contains(where: { $0.id.utf8.elementsEqual(id.utf8) }) else {
                throw ApusError(
                    .invalidConfiguration, "two models are called '\(id)'", place: directory,
                    advice: "Give one of them another id in the configuration")
            }
            plan.append(
                PlannedModel(
                    id: id, directory: directory, precision: request(of: model), segments: try segments(of: model),
                    maxTokens: model.maxTokens,
                    batching: try BatchPolicy(
                        model.batching.over(configuration.batching), maxQueuedTokens: configuration.limits.maxQueuedTokens)))
        }
        return plan
    }
}
