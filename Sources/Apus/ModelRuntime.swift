import ApusCheckpoint
public import ApusErrors
import NIOConcurrencyHelpers

/// Several models on the same devices: each has its own queue, and they share the devices' time by weight.
///
/// ```swift
/// let runtime = try ModelRuntime()
/// try await runtime.load("pictures", path: "resnet.onnx", weight: 2)
/// try await runtime.load("faces", path: "faces.onnx")
/// let answers = try await runtime.predictMultiple([("pictures", picture), ("faces", picture)])
/// try await runtime.unload("faces")
/// ```
///
/// Models come and go while others serve.
public final class ModelRuntime: Sendable {
    private enum Loaded: Sendable {
        /// The name is taken, the model is not there yet.
        case loading
        case model(Model)
        case embedder(Embedder)
        case reranker(Reranker)
        case classifier(Classifier)
        /// It takes nothing more and finishes what it took.
        case unloading

        var isReady: Bool {
            switch self {
            case .model, .embedder, .reranker, .classifier: true
            case .loading, .unloading: false
            }
        }

        /// What it is, and how it is asked for.
        var words: String {
            switch self {
            case .model: "a model of tensors: ask model(_:) for it"
            case .embedder: "a text encoder: ask embedder(_:) for it"
            case .reranker: "a reranker: ask reranker(_:) for it"
            case .classifier: "a classifier: ask classifier(_:) for it"
            case .loading, .unloading: "not ready"
            }
        }
    }

    private let owner: OwnedRoom
    /// By the bytes of their names.
    private let models = NIOLockedValueBox<[[UInt8]: Loaded]>([:])

    /// Starts the devices and loads nothing.
    ///
    /// - Parameter caching: what is remembered of texts, of all embedders together.
    /// - Throws: `engine_missing`, and `invalid_configuration` for the caching.
    public init(
        caching: Caching = .memory(), installation: Installation = Installation(), execution: Execution = .inProcess
    ) throws(ApusError) {
        owner = OwnedRoom(try EngineRoom(installation: installation, execution: execution, cache: try caching.open()))
    }

    /// The names of the models that are loaded, sorted.
    public var names: [String] {
        models.withLockedValue { models in
            models.filter(\.value.isReady).map { String(decoding: $0.key, as: UTF8.self) }.sorted()
        }
    }

    /// Loads the ONNX file at `path` under `name`.
    ///
    /// - Parameter weight: the model's part of the devices' time, compared with other models' while they have work; above 0.
    /// - Throws: what ``Model/load(_:batching:installation:execution:)`` throws, and `invalid_value` for a name that is taken and for a weight that
    ///   is not above 0.
    @discardableResult
    public func load(
        _ name: String, path: String, weight: Double = 1, batching: Batching = .dynamic()
    ) async throws(ApusError) -> Model {
        let (policy, room) = (try batching.policy(), owner.room)
        let model = try await take(name, weight) { () async throws(ApusError) in
            Model(try await room.loadTensors(path: path, name: name, policy: policy, weight: weight), self.owner)
        }
        put(name, .model(model))
        return model
    }

    /// Loads a text encoder under `name`, beside the other models.
    ///
    /// - Parameter model: The path of a model directory, or the name of an installed model.
    /// - Throws: what ``Embedder/load(_:precision:precisionFloor:batching:installation:execution:)`` throws, and `invalid_value` as
    ///   ``load(_:path:weight:batching:)`` does.
    @discardableResult
    public func loadEmbedder(
        _ name: String, model: String = Installation.defaultModel, precision: Precision = .auto, precisionFloor: Double? = nil,
        weight: Double = 1, batching: Batching = .dynamic()
    ) async throws(ApusError) -> Embedder {
        let (policy, room) = (try batching.policy(), owner.room)
        let request = try PrecisionRequest(precision, checkedFloor: precisionFloor)
        let embedder = try await take(name, weight) { () async throws(ApusError) in
            let directory = try room.installation.modelDirectory(model)
            return Embedder(try await room.load(directory: directory, precision: request, policy: policy, name: name, weight: weight, for: .embedding), self.owner)
        }
        put(name, .embedder(embedder))
        return embedder
    }

    /// Loads a cross-encoder that ranks documents under `name`, beside the other models.
    ///
    /// - Parameter model: The path of a model directory, or the name of an installed model.
    /// - Throws: what ``Reranker/load(_:precision:precisionFloor:batching:installation:execution:)`` throws, and `invalid_value` as
    ///   ``load(_:path:weight:batching:)`` does.
    @discardableResult
    public func loadReranker(
        _ name: String, model: String, precision: Precision = .auto, precisionFloor: Double? = nil, weight: Double = 1,
        batching: Batching = .dynamic()
    ) async throws(ApusError) -> Reranker {
        let (policy, request) = (try batching.policy(), try PrecisionRequest(precision, checkedFloor: precisionFloor))
        let reranker = try await take(name, weight) { () async throws(ApusError) in
            Reranker(try await ScoringModel(model, for: .rerank, request, policy, in: self.owner, name: name, weight: weight))
        }
        put(name, .reranker(reranker))
        return reranker
    }

    /// Loads a sequence classifier under `name`, beside the other models.
    ///
    /// - Parameter model: The path of a model directory, or the name of an installed model.
    /// - Throws: what ``Classifier/load(_:precision:precisionFloor:batching:installation:execution:)`` throws, and `invalid_value` as
    ///   ``load(_:path:weight:batching:)`` does.
    @discardableResult
    public func loadClassifier(
        _ name: String, model: String, precision: Precision = .auto, precisionFloor: Double? = nil, weight: Double = 1,
        batching: Batching = .dynamic()
    ) async throws(ApusError) -> Classifier {
        let (policy, request) = (try batching.policy(), try PrecisionRequest(precision, checkedFloor: precisionFloor))
        let classifier = try await take(name, weight) { () async throws(ApusError) in
            Classifier(try await ScoringModel(model, for: .classify, request, policy, in: self.owner, name: name, weight: weight))
        }
        put(name, .classifier(classifier))
        return classifier
    }

    /// Takes a model out of service: what it had accepted is answered, what comes is refused with `model_unloaded`, and when this returns its memory
    /// has gone back to the system, except for what somebody who still holds the ``Model``, ``Embedder`` or ``Scorer`` keeps. Throws `model_not_found`, and
    /// `model_unloaded` while somebody else unloads it.
    public func unload(_ name: String) async throws(ApusError) {
        try beginUnloading(name)
        do throws(ApusError) {
            try await owner.room.unload(name)
        } catch {
            put(name, nil)
            throw error
        }
        put(name, nil)
    }

    /// The model of that name. Throws `model_not_found`, and `invalid_value` for one that is asked with texts.
    public func model(_ name: String) throws(ApusError) -> Model {
        let loaded = try loaded(name)
        guard case .model(let model) = loaded else { throw Self.another(name, loaded) }
        return model
    }

    /// The text encoder of that name. Throws `model_not_found`, and `invalid_value` for another kind of model.
    public func embedder(_ name: String) throws(ApusError) -> Embedder {
        let loaded = try loaded(name)
        guard case .embedder(let embedder) = loaded else { throw Self.another(name, loaded) }
        return embedder
    }

    /// The reranker of that name. Throws `model_not_found`, and `invalid_value` for another kind of model.
    public func reranker(_ name: String) throws(ApusError) -> Reranker {
        let loaded = try loaded(name)
        guard case .reranker(let reranker) = loaded else { throw Self.another(name, loaded) }
        return reranker
    }

    /// The classifier of that name. Throws `model_not_found`, and `invalid_value` for another kind of model.
    public func classifier(_ name: String) throws(ApusError) -> Classifier {
        let loaded = try loaded(name)
        guard case .classifier(let classifier) = loaded else { throw Self.another(name, loaded) }
        return classifier
    }

    private static func another(_ name: String, _ loaded: Loaded) -> ApusError {
        ApusError(.invalidValue, "'\(name)' is \(loaded.words)", place: name)
    }

    /// Runs one item through a model: see ``Model/execute(_:priority:deadline:)``. Throws `model_not_found`, too.
    public func predict(
        _ model: String, _ inputs: [String: Tensor], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [String: Tensor] {
        try await self.model(model).execute(inputs, priority: priority, deadline: deadline)
    }

    /// Runs items through several models at once; the results come in the order of `requests`. Throws `model_not_found` before anything runs, and
    /// else what a request that fails throws.
    public func predictMultiple(
        _ requests: [(model: String, inputs: [String: Tensor])], priority: RequestPriority = .medium,
        deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [[String: Tensor]] {
        var items: [(model: Model, inputs: [String: Tensor])] = []
        for request in requests { items.append((try model(request.model), request.inputs)) }
        // One list for each model, so that its items form batches whatever the threads are busy with.
        var places: [ObjectIdentifier: [Int]] = [:]
        for (place, item) in items.enumerated() { places[ObjectIdentifier(item.model), default: []].append(place) }
        let parts = await withTaskGroup(of: Part.self) { group in
            for places in places.values {
                guard let model = places.first.map({ items[$0].model }) else { continue }
                let inputs = places.map { items[$0].inputs }
                group.addTask { await Part(places, model, inputs, priority, deadline) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        var outputs = [[String: Tensor]](repeating: [:], count: items.count)
        for part in parts.sorted(by: { $0.places.lexicographicallyPrecedes($1.places) }) {
            for (place, output) in zip(part.places, try part.outputs.get()) { outputs[place] = output }
        }
        return outputs
    }

    /// What one model made of its items of several requests.
    private struct Part: Sendable {
        let places: [Int]
        let outputs: Result<[[String: Tensor]], ApusError>

        init(
            _ places: [Int], _ model: Model, _ inputs: [[String: Tensor]], _ priority: RequestPriority, _ deadline: ContinuousClock.Instant?
        ) async {
            self.places = places
            do throws(ApusError) {
                outputs = .success(try await model.batchExecute(inputs, priority: priority, deadline: deadline))
            } catch {
                outputs = .failure(error)
            }
        }
    }

    private func loaded(_ name: String) throws(ApusError) -> Loaded {
        switch models.withLockedValue({ $0[Array(name.utf8)] }) {
        case .some(let loaded) where loaded.isReady: return loaded
        case .unloading: throw .unloaded(name)
        default:
            let known = names
            throw ApusError(
                .modelNotFound, "no model of the name '\(name)' is loaded",
                advice: known.isEmpty ? "Load it first" : "Loaded are \(known.joined(separator: ", "))")
        }
    }

    /// Takes the name for as long as `load` runs.
    private func take<Value>(
        _ name: String, _ weight: Double, _ load: () async throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard weight.isFinite, weight > 0 else {
            throw ApusError(.invalidValue, "the weight is \(weight), it must be above 0", place: name)
        }
        let isFree = models.withLockedValue { models in
            let isFree = models[Array(name.utf8)] == nil
            if isFree { models[Array(name.utf8)] = .loading }
            return isFree
        }
        guard isFree else {
            throw ApusError(.invalidValue, "a model of the name '\(name)' is loaded already", advice: "Unload it first, or choose another name")
        }
        do throws(ApusError) {
            return try await load()
        } catch {
            put(name, nil)
            throw error
        }
    }

    private func beginUnloading(_ name: String) throws(ApusError) {
        let wasReady = models.withLockedValue { models in
            let wasReady = models[Array(name.utf8)]?.isReady == true
            if wasReady { models[Array(name.utf8)] = .unloading }
            return wasReady
        }
        if !wasReady { _ = try loaded(name) }
    }

    private func put(_ name: String, _ loaded: Loaded?) {
        models.withLockedValue { $0[Array(name.utf8)] = loaded }
    }
}
