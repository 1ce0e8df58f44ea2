package import ApusCheckpoint
import ApusDevices
package import ApusErrors
import ApusExecution
package import ApusFleet
import ApusGraph
package import ApusPlacement
package import ApusTensor
import Foundation

/// Measures what each layer of a model takes on a device, each loaded and run by itself, so that plans weigh layers by it. What was measured once is
/// remembered by device, engine, model and form.
package struct LayerTrials: Sendable {
    private let store: LayerCostStore
    private let source: any ExecutorSource
    private let engineLibrary: String
    private let precisions: PrecisionTrials

    /// How long a layer is run. The fastest run counts: whatever else the machine does makes runs slower, never faster.
    private static let time = Duration.milliseconds(40)
    private static let fewestRuns = 3
    /// A machine that does something else for the whole of that time makes a layer look slow: where layers that are alike differ by more than a
    /// quarter, all are measured again, at most so often.
    private static let (mostDifference, mostRounds) = (1.25, 4)
    /// Tokens of a sequence, and sequences of a batch: together about what a core computes at a time.
    private static let (length, sequences) = (128, 3)
    /// Sizes that are tried for axes which a file leaves open: usual texts, short ones, and the usual picture.
    private static let openSizes = [64, 8, 224]

    package init(installation: Installation, engineLibrary: String, execution: Execution) {
        store = LayerCostStore(directory: installation.cacheDirectory("layer-costs"))
        source = execution.source(engineLibrary: engineLibrary)
        precisions = PrecisionTrials(installation: installation, engineLibrary: engineLibrary, execution: execution)
        self.engineLibrary = engineLibrary
    }

    package enum Subject: Sendable {
        case directory(String)
        case file(ONNXFile)
    }

    /// A model whose layers are measured.
    package struct Model: Sendable {
        package var outline: NetworkOutline
        package var subject: Subject
        package var precision: PrecisionRequest
        /// Of the directory or of the file.
        package var path: String

        package init(outline: NetworkOutline, subject: Subject, precision: PrecisionRequest, path: String) {
            self.outline = outline
            self.subject = subject
            self.precision = precision
            self.path = path
        }
    }

    /// The outline of `model` with the seconds that its layers take on `member`, measured where that is not known. Throws what reading, loading and running throw.
    ///
    /// - Parameters:
    ///   - cuts: tensors behind which a network that came as a file is cut.
    ///   - isShared: whether several ranks are to share each layer, in the form that has shards.
    package func measured(
        _ model: Model, cuts: [String], on member: FleetPlan.Member, sharing isShared: Bool
    ) async throws(ApusError) -> NetworkOutline {
        let (outline, subject, request) = (model.outline, model.subject, model.precision)
        var settings = member.settings
        settings.lanes = 1
        let device = Self.name(settings.device, member.info.name)
        switch subject {
        case .file(let file):
            return try await measured(outline, file, cuts, device, settings)
        case .directory(let directory):
            let model = try await BlockingWork.run { () throws(ApusError) in try PrecisionSubject(directory: directory) }
            guard case .encoder(let configuration, _) = model.checkpoint.source else {
                if case .onnx(let file) = model.checkpoint.source { return try await measured(outline, file, cuts, device, settings) }
                return outline
            }
            let form = isShared ? settings.device.kind.networkForm : try await precisions.choice(for: model, on: member, request).form
            let key = key(model.weights, device, "\(configuration.layers)")
            if let known = store.seconds(key)["\(form)"], known.count == configuration.layers {
                return try outline.measured(known, areAlike: true)
            }
            let seconds = try await source.withExecutor(settings) { executor throws(ApusError) in
                try await Self.seconds(model.checkpoint, configuration, form, on: executor)
            }
            store.store(seconds, in: "\(form)", key)
            return try outline.measured(seconds, areAlike: true)
        }
    }

    /// `outline` with what is known already of its layers on a device, and what they were measured in; nil where nothing is. Blocks.
    package func known(
        _ outline: NetworkOutline, _ subject: Subject, cuts: [String], on device: DeviceID, named name: String
    ) throws(ApusError) -> (outline: NetworkOutline, form: String)? {
        let device = Self.name(device, name)
        var found: (key: LayerCostStore.Key, areAlike: Bool)?
        switch subject {
        case .file(let file):
            found = (key(try file.sha256(), device, Self.text(try file.pieces(cuts))), false)
        case .directory(let directory):
            let checkpoint = try Checkpoint(directory: directory)
            switch checkpoint.source {
            case .encoder(let configuration, _): found = (key(try checkpoint.weightsSHA256(), device, "\(configuration.layers)"), true)
            case .onnx(let file): found = (key(try file.sha256(), device, Self.text(try file.pieces(cuts))), false)
            }
        }
        guard let found, let (form, seconds) = store.seconds(found.key).min(by: { $0.key < $1.key }) else { return nil }
        return (try outline.measured(seconds, areAlike: found.areAlike), form)
    }

    private func measured(
        _ outline: NetworkOutline, _ file: ONNXFile, _ cuts: [String], _ device: String, _ settings: ExecutorSettings
    ) async throws(ApusError) -> NetworkOutline {
        let (pieces, digest) = try await BlockingWork.run { () throws(ApusError) in (try file.pieces(cuts), try file.sha256()) }
        let key = key(digest, device, Self.text(pieces))
        if let known = store.seconds(key)[file.precision.rawValue], known.count == pieces.count {
            return try outline.measured(known, areAlike: false)
        }
        let seconds = try await source.withExecutor(settings) { executor throws(ApusError) in
            try await Self.seconds(file, pieces, on: executor)
        }
        store.store(seconds, in: file.precision.rawValue, key)
        return try outline.measured(seconds, areAlike: false)
    }

    private func key(_ weights: String, _ device: String, _ layers: String) -> LayerCostStore.Key {
        let engine = URL(fileURLWithPath: engineLibrary).resolvingSymlinksInPath().lastPathComponent
        return LayerCostStore.Key(weights: weights, device: device, engine: engine, layers: layers)
    }

    private static func name(_ device: DeviceID, _ name: String) -> String { "\(device.kind.rawValue) \(name)" }

    private static func text(_ pieces: [ONNXGraph.Piece]) -> String { pieces.map { "\($0.nodes.upperBound)" }.joined(separator: ",") }

    // MARK: - Measuring

    /// Seconds a token of each layer of a checkpoint, the fastest of several rounds.
    private static func seconds(
        _ checkpoint: Checkpoint, _ configuration: EncoderConfiguration, _ form: NetworkForm, on executor: any Executor
    ) async throws(ApusError) -> [Double] {
        var fastest = try await round(checkpoint, configuration, form, on: executor)
        for _ in 1..<mostRounds {
            guard let least = fastest.min(), let most = fastest.max(), most > mostDifference * least else { break }
            fastest = zip(fastest, try await round(checkpoint, configuration, form, on: executor)).map { min($0, $1) }
        }
        return fastest
    }

    private static func round(
        _ checkpoint: Checkpoint, _ configuration: EncoderConfiguration, _ form: NetworkForm, on executor: any Executor
    ) async throws(ApusError) -> [Double] {
        let length = min(length, checkpoint.maxTokens)
        let ids = (0..<length).map { Int32($0 % max(1, min(configuration.vocabularySize, 1_000))) }
        let sequence = EncoderBatch.Sequence(ids: ids, typeIDs: [Int32](repeating: 0, count: length))
        let batch = EncoderBatch(Array(repeating: sequence, count: sequences))
        let conventions = EncoderGraph.conventions(configuration)
        let states = HostTensor(
            [batch.tokenCount, configuration.hiddenSize],
            .float32((0..<(batch.tokenCount * configuration.hiddenSize)).map { Float($0 &* 7_919 % 2_003 - 1_001) / 1_001 }))
        var seconds: [Double] = []
        for layer in 0..<configuration.layers {
            let slice = try NetworkSlice(layers: layer..<(layer + 1), layerCount: configuration.layers)
            let model = try await executor.load(
                LoadRequest(name: "\(checkpoint.name) (\(slice))", source: .checkpoint(directory: checkpoint.directory, .network(form, slice))))
            var inputs = batch.tensors(for: model.inputs.filter { $0.name != NetworkSlice.hiddenInput }, conventions)
            inputs[NetworkSlice.hiddenInput] = states
            let given = inputs
            let (fastest, _) = try await executor.prepare { () throws(ApusError) in try run(model, given) }
            seconds.append(fastest / Double(batch.tokenCount))
        }
        return seconds
    }

    /// Seconds an item, or of a text encoder a token, of each piece of a file.
    private static func seconds(
        _ file: ONNXFile, _ pieces: [ONNXGraph.Piece], on executor: any Executor
    ) async throws(ApusError) -> [Double] {
        var failure: ApusError?
        for size in openSizes {
            do throws(ApusError) {
                return try await seconds(file, pieces, openSize: size, on: executor)
            } catch {
                failure = error
                if let kind = error.deviceFailure, kind != .engine { throw error }
            }
        }
        throw failure ?? ApusError(.engineFailure, "no size of open axes is left to try", place: file.path)
    }

    private static func seconds(
        _ file: ONNXFile, _ pieces: [ONNXGraph.Piece], openSize: Int, on executor: any Executor
    ) async throws(ApusError) -> [Double] {
        let count = pieces.last?.nodes.upperBound ?? 0
        var (tensors, handedOn, seconds, tokens): ([String: HostTensor], [ValueDescription], [Double], Int) = ([:], [], [], sequences)
        for piece in pieces {
            let slice = try FileSlice(nodes: piece.nodes, nodeCount: count, handedOn: handedOn)
            let model = try await executor.load(LoadRequest(name: "\(file.path) (\(slice))", source: .file(file.path, slice)))
            if piece.nodes.lowerBound == 0 { (tensors, tokens) = try inputs(model, openSize, file.path) }
            let given = tensors
            let (fastest, outputs) = try await executor.prepare { () throws(ApusError) in try run(model, given) }
            seconds.append(fastest / Double(max(1, tokens)))
            for (output, tensor) in zip(model.outputs, outputs) { tensors[output.name] = tensor }
            handedOn += model.outputs
        }
        return seconds
    }

    /// What a model is fed with: for text encoders a batch of usual texts, else numbers of the shapes that it takes. Also how many tokens or items that are.
    private static func inputs(_ model: any LoadedModel, _ openSize: Int, _ place: String) throws(ApusError) -> ([String: HostTensor], Int) {
        let isText = model.inputs.allSatisfy { PaddedInput(rawValue: $0.name) != nil }
        var tensors: [String: HostTensor] = [:]
        for input in model.inputs {
            let shape = input.shape.enumerated().map { axis, size in
                if case .fixed(let size) = size { size } else { axis == 0 ? sequences : openSize }
            }
            guard let count = ElementCount.of(shape), count < 1 << 28 else {
                throw ApusError(.unsupportedModel, "input '\(input.name)' is too large to be measured with", place: place)
            }
            let elements: HostTensor.Elements =
                switch input.elementType {
                case .int32: .int32([Int32](repeating: number(input), count: count))
                case .int64: .int64([Int64](repeating: number(input), count: count))
                default: .float32((0..<count).map { Float($0 &* 7_919 % 2_003 - 1_001) / 1_001 })
                }
            tensors[input.name] = HostTensor(shape, elements)
        }
        return (tensors, isText ? sequences * openSize : sequences)
    }

    /// 1 is in every vocabulary, and true in every mask; of token types there may be only 0.
    private static func number<Integer: FixedWidthInteger>(_ input: ValueDescription) -> Integer {
        PaddedInput(rawValue: input.name) == .tokenTypeIDs ? 0 : 1
    }

    /// The seconds of the fastest of several steps, and what it gave. Blocks.
    private static func run(_ model: any LoadedModel, _ inputs: [String: HostTensor]) throws(ApusError) -> (Double, [HostTensor]) {
        let clock = ContinuousClock()
        let outputs = Array(model.outputs.indices)
        // The first makes room and picks kernels.
        var results = try model.run(inputs, outputs: outputs, memory: .kept)
        var (fastest, spent, runs) = (Duration.seconds(3_600), Duration.zero, 0)
        while runs < fewestRuns || spent < time {
            let start = clock.now
            results = try model.run(inputs, outputs: outputs, memory: .kept)
            let taken = clock.now - start
            (fastest, spent, runs) = (min(fastest, taken), spent + taken, runs + 1)
        }
        // Nothing takes no time, whatever a clock says.
        return (max(1e-9, Double(fastest.components.seconds) + Double(fastest.components.attoseconds) * 1e-18), results)
    }
}
