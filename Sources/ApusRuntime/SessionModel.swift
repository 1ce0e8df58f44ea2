import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor

/// A model held by the engine of this process.
final class SessionModel: LoadedModel {
    let name: String
    let inputs: [ValueDescription]
    let outputs: [ValueDescription]
    let assignment: NodeAssignment
    var buffers: SharedBuffers { state.buffers }
    /// Bytes of weights in memory of this process's own, which the session's allocator does not count.
    let residentBytes: Int
    /// Of all sessions.
    let weights: WeightBytes
    private let route: SessionRoute
    private let state: ExecutorState

    init(
        _ request: LoadRequest, _ engine: Engine, _ provider: ExecutionProvider, _ settings: ExecutorSettings,
        _ graphs: any GraphSource, _ state: ExecutorState
    ) throws(ApusError) {
        try state.requireOpen()
        name = request.name
        self.state = state
        var sessions: [Session] = []
        func open(_ session: (borrowing SessionOptions) throws(ApusError) -> Session) throws(ApusError) -> Session {
            for _ in 0..<max(1, state.routing.sessions(settings)) {
                let options = try SessionOptions.open(
                    engine, provider: provider, device: settings.device.description, threads: settings.helpers + 1,
                    optimization: request.optimization.level)
                sessions.append(try session(options))
            }
            guard let first = sessions.first else { throw ApusError(.engineFailure, "a model has no session", place: request.name) }
            return first
        }
        let session: Session
        let weights: WeightBytes
        switch request.source {
        case .checkpoint(let directory, let part):
            if case .network(let form, _) = part { try form.requireKernels(on: settings.device) }
            let described = try graphs.graph(directory: directory, part)
            session = try open { options throws(ApusError) in try described.graph.lowered(engine, options: options) }
            described.loaded()
            residentBytes = described.graph.residentBytes
            weights = described.graph.weights
            inputs = described.graph.inputs
            outputs = described.graph.outputs
        case .file(let path, nil):
            session = try open { options throws(ApusError) in try Session.open(engine, file: path, options: options) }
            residentBytes = 0
            weights = WeightBytes(layers: graphs.weightBytes(ofFile: path, nil))
            inputs = try Self.describe(session.inputNames, path, session.inputType)
            outputs = try Self.describe(session.outputNames, path, session.outputType)
        case .file(let path, let slice?):
            func openPart(converting: [ValueDescription]) throws(ApusError) -> (Session, [ValueDescription]) {
                let model = try graphs.part(ofFile: path, slice, converting: converting)
                sessions = []
                let session = try open { options throws(ApusError) in
                    try Session.open(engine, model: model, besideFilesIn: Self.folder(of: path), options: options)
                }
                return (session, try Self.describe(session.outputNames, path, session.outputType))
            }
            var (part, made) = try openPart(converting: [])
            let isLast = slice.nodes.upperBound == slice.nodeCount
            let foreign = isLast ? [] : made.filter { ![.float32, .int32, .int64].contains($0.elementType) }
            // The types of what crosses are known once the engine has the part.
            if !foreign.isEmpty { (part, made) = try openPart(converting: foreign) }
            session = part
            residentBytes = 0
            weights = WeightBytes(layers: graphs.weightBytes(ofFile: path, slice))
            inputs = try Self.describe(session.inputNames, path, session.inputType)
            outputs = made
        }
        self.weights = sessions.dropFirst().reduce(weights) { sum, _ in sum + weights }
        assignment = NodeAssignment(try session.assignedNodes())
        if settings.assignment == .strict { try assignment.requireAll(on: settings.device, model: request.name) }
        route = try SessionRoute(state.routing, sessions)
    }

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard let result = try run(tensors, outputs: [output], memory: memory).first else {
            throw ApusError(.engineFailure, "there is no output \(output)", place: name)
        }
        return result
    }

    /// One run of the engine, however many outputs.
    func run(_ tensors: [String: HostTensor], outputs: [Int], memory: WorkingMemory) throws(ApusError) -> [HostTensor] {
        try route.perform(released: memory == .released) { run throws(ApusError) in try self.step(tensors, outputs, run) }
    }

    /// What the sessions hold of their device's memory.
    func statistics() throws(ApusError) -> ArenaStatistics {
        try route.statistics()
    }

    /// Gives back what the sessions' arenas hold unused.
    func releaseUnusedMemory() throws(ApusError) {
        try route.releaseUnusedMemory()
    }

    private func step(
        _ tensors: [String: HostTensor], _ outputs: [Int], _ run: SessionRoute.Run
    ) throws(ApusError) -> [HostTensor] {
        try state.requireOpen()
        var ordered: [HostTensor] = []
        ordered.reserveCapacity(inputs.count)
        for input in inputs {
            guard let tensor = tensors[input.name] else {
                throw ApusError(.engineFailure, "input '\(input.name)' is missing", place: name)
            }
            guard tensor.elementType == input.elementType, ElementCount.of(tensor.shape) == tensor.count else {
                throw ApusError(
                    .engineFailure, "input '\(input.name)' is not \(input.elementType) with as many elements as its shape",
                    place: name)
            }
            ordered.append(tensor)
        }
        let ticket = state.profiler.next()
        defer { ticket?.finish(model: self) }
        let results = try withArguments(ordered[...], []) { arguments throws(ApusError) in
            try run(arguments, outputs, ticket?.prefix) { place, type, shape, bytes throws(ApusError) in
                try self.hostTensor(place, type, shape, bytes)
            }
        }
        state.stepEnded(bytes: ordered.reduce(0) { $0 + $1.byteCount } + results.reduce(0) { $0 + $1.byteCount })
        return results
    }

    /// Opens the storage of one tensor after the other, so that all stay in place while `body` runs.
    private func withArguments(
        _ tensors: ArraySlice<HostTensor>, _ arguments: [TensorArgument],
        _ body: ([TensorArgument]) throws(ApusError) -> [HostTensor]
    ) throws(ApusError) -> [HostTensor] {
        guard let tensor = tensors.first else { return try body(arguments) }
        let next = { (bytes: UnsafeRawBufferPointer) throws(ApusError) -> [HostTensor] in
            // The engine wants an address even for a tensor without elements.
            let data = bytes.baseAddress ?? UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
            let argument = TensorArgument(tensor.elementType, tensor.shape, data: data, byteCount: bytes.count)
            return try self.withArguments(tensors.dropFirst(), arguments + [argument], body)
        }
        switch tensor.elements {
        case .float32(let values): return try values.withUnsafeBytes(throwing: next)
        case .int32(let values): return try values.withUnsafeBytes(throwing: next)
        case .int64(let values): return try values.withUnsafeBytes(throwing: next)
        }
    }

    private func hostTensor(
        _ index: Int, _ elementType: ElementType, _ shape: [Int], _ bytes: UnsafeRawBufferPointer
    ) throws(ApusError) -> HostTensor {
        guard let tensor = buffers.tensor(elementType, shape, copying: bytes) else {
            throw ApusError(
                .unsupportedModel, "output '\(outputs[index].name)' is \(elementType), only float32 and integers are read",
                place: name)
        }
        return tensor
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) + "/" } ?? "./"
    }

    private static func describe(
        _ names: [String], _ path: String, _ type: (Int) throws(ApusError) -> (ElementType, [Int?])?
    ) throws(ApusError) -> [ValueDescription] {
        var values: [ValueDescription] = []
        for (index, name) in names.enumerated() {
            guard let (elementType, shape) = try type(index) else {
                throw ApusError(.unsupportedModel, "'\(name)' is not a tensor of a type that Apus handles", place: path)
            }
            values.append(
                ValueDescription(name, elementType, shape.enumerated().map { axis, size in
                    size.map { .fixed($0) } ?? .symbolic("\(name)_\(axis)")
                }))
        }
        return values
    }
}

extension Array {
    /// `withUnsafeBytes` for bodies that throw `ApusError`: the standard one erases the type.
    fileprivate func withUnsafeBytes(
        throwing body: (UnsafeRawBufferPointer) throws(ApusError) -> [HostTensor]
    ) throws(ApusError) -> [HostTensor] {
        let result = withUnsafeBytes { bytes in
            Result { () throws(ApusError) in try body(bytes) }
        }
        return try result.get()
    }
}

extension LoadRequest.Optimization {
    fileprivate var level: OptimizationLevel {
        switch self {
        case .none: .none
        case .basic: .basic
        case .extended: .extended
        case .all: .all
        }
    }
}
