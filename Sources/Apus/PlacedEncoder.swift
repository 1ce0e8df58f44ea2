import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusScheduling
import ApusTensor
import ApusTokenizers
import NIOConcurrencyHelpers

/// One text encoder on all the devices that it is put on.
final class PlacedEncoder: FleetModel {
    let name: String
    let embedder: TextEmbedder
    let assignedDevice: DeviceID?
    private let checkpoint: Checkpoint
    private let tokenizer: Tokenizer
    private let answer: KnownAnswer
    private let precision: Precision
    private let optimization: LoadRequest.Optimization
    private let memory: DeviceMemoryBook
    private let needs: ModelMemory
    private let lanes: LaneBook
    private let ceilings: BatchCeilings
    /// SHA-256 of the weights.
    private let weights: String
    private let state = NIOLockedValueBox(State())

    private struct State {
        var encoders: [ObjectIdentifier: (device: DeviceID, encoder: SentenceEncoder)] = [:]
        /// By device, of the latest proof.
        var cosines: [DeviceID: Double] = [:]
    }

    init(
        name: String, _ checkpoint: Checkpoint, _ tokenizer: Tokenizer, _ answer: KnownAnswer, embedder: TextEmbedder,
        optimization: LoadRequest.Optimization, only assignedDevice: DeviceID? = nil,
        memory: DeviceMemoryBook, needs: ModelMemory, lanes: LaneBook, ceilings: BatchCeilings, weights: String
    ) {
        self.lanes = lanes
        self.ceilings = ceilings
        self.weights = weights
        self.assignedDevice = assignedDevice
        self.memory = memory
        self.needs = needs
        self.name = name
        self.checkpoint = checkpoint
        self.tokenizer = tokenizer
        self.answer = answer
        self.embedder = embedder
        self.optimization = optimization
        precision = checkpoint.servedPrecision
    }

    /// The latest proofs: the lowest cosine to the known answer.
    var cosines: [DeviceID: Double] { state.withLockedValue { $0.cosines } }

    func load(onto executor: any Executor) async throws(ApusError) {
        guard encoder(on: executor) == nil else { return }
        try memory.admit(name, needs, on: executor.device)
        do throws(ApusError) {
            let encoder = try await encoder(loadedOnto: executor)
            state.withLockedValue { $0.encoders[ObjectIdentifier(executor)] = (executor.device, encoder) }
        } catch {
            memory.release(name, on: executor.device)
            throw error
        }
    }

    private func encoder(loadedOnto executor: any Executor) async throws(ApusError) -> SentenceEncoder {
        let encoder = try await SentenceEncoder.load(
            checkpoint, onto: executor, style: executor.device.kind.graphStyle, optimization: optimization)
        guard encoder.dimensions == embedder.dimensions else {
            throw ApusError(
                .wrongAnswer, "the network gives \(encoder.dimensions) elements a vector where \(embedder.dimensions) are known", place: name)
        }
        return encoder
    }

    func prove(on executor: any Executor) async throws(ApusError) -> Double {
        guard let encoder = encoder(on: executor) else {
            throw ApusError(.deviceUnavailable, "\(name) is not loaded on \(executor.device)")
        }
        let (answer, tokenizer, maxTokens) = (answer, tokenizer, checkpoint.maxTokens)
        let cosine = try await executor.prepare { () throws(ApusError) in
            try answer.lowestCosine(encoder, tokenizer, maxTokens: maxTokens)
        }
        let floor = precision.knownAnswerFloor
        guard let cosine, cosine >= floor else {
            throw ApusError(
                .wrongAnswer,
                "the known answer on \(executor.device) has a cosine of \(cosine.map { "\($0)" } ?? "no number") to the plain fp32 graph's, \(floor) or more is wanted",
                place: name, advice: "Try --precision fp32, another engine version, and `apus doctor`")
        }
        state.withLockedValue { $0.cosines[executor.device] = cosine }
        return cosine
    }

    func unload(from executor: any Executor) {
        let isLast = state.withLockedValue { state in
            guard state.encoders.removeValue(forKey: ObjectIdentifier(executor)) != nil else { return false }
            state.cosines[executor.device] = nil
            return !state.encoders.values.contains { $0.device == executor.device }
        }
        if isLast { memory.release(name, on: executor.device) }
    }

    func open(on executor: any Executor, share: Double, fallback: FallbackStage) {
        guard let encoder = encoder(on: executor) else { return }
        embedder.scheduler.open(
            Replica(
                executor: executor, work: encoder, lanes: lanes.lanes(of: executor), precision: precision,
                ceiling: ceilings.ceiling(.init(weights: weights, device: executor.device, precision: precision)), fallback: fallback,
                share: share))
    }

    func isOpen(on device: DeviceID) -> Bool { embedder.scheduler.openDevices.contains(device) }

    func close(_ device: DeviceID) {
        embedder.scheduler.close(device)
        state.withLockedValue { $0.cosines[device] = nil }
    }

    func adjust(_ device: DeviceID, share: Double, fallback: FallbackStage) {
        embedder.scheduler.adjust(device, share: share, fallback: fallback)
    }

    func setCapacity(_ capacity: Double) { embedder.scheduler.setCapacity(capacity) }

    func refuse(with error: ApusError) { embedder.scheduler.refuse(with: error) }

    func expireWaiting() { embedder.scheduler.expireWaiting() }

    private func encoder(on executor: any Executor) -> SentenceEncoder? {
        state.withLockedValue { $0.encoders[ObjectIdentifier(executor)]?.encoder }
    }
}

extension Checkpoint {
    /// What a model runs in: fp32 where Apus writes the network, else what its file holds.
    var servedPrecision: Precision {
        switch source {
        case .encoder: .fp32
        case .onnx(let file): file.precision
        }
    }
}

extension Precision {
    /// The lowest cosine to the plain fp32 graph at which a model of this precision counts as right.
    var knownAnswerFloor: Double {
        switch self {
        case .fp32, .fp16, .bf16, .auto: 0.9999
        case .int8: 0.99
        case .int4: 0.95
        }
    }
}

extension DeviceID.Kind {
    /// The operators that devices of this kind have kernels for in fp32: the fused attention is 16-bit only on GPUs, and what a provider
    /// cannot run would fall to the CPU node by node.
    var graphStyle: GraphStyle {
        switch self {
        case .cpu, .sim: .fused
        case .cuda, .openvino, .webgpu, .tensorrtrtx: .plain
        }
    }
}
