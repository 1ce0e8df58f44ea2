import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor

/// A model held by the engine of this process.
final class SessionModel: LoadedModel {
    let inputs: [ValueDescription]
    let outputs: [ValueDescription]
    let assignment = NodeAssignment()
    private let name: String
    private let session: Session

    init(_ request: LoadRequest, _ engine: Engine, _ graphs: any GraphSource) throws(ApusError) {
        name = request.name
        let options = try SessionOptions.open(engine, threads: 1, optimization: request.optimization.level)
        switch request.source {
        case .checkpoint(let directory, let part):
            let described = try graphs.graph(directory: directory, part)
            session = try described.graph.lowered(engine, options: options)
            described.loaded()
            inputs = described.graph.inputs
            outputs = described.graph.outputs
        case .file(let path):
            session = try Session.open(engine, file: path, options: options)
            inputs = try Self.describe(session.inputNames, path, session.inputType)
            outputs = try Self.describe(session.outputNames, path, session.outputType)
        }
    }

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
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
        return try withArguments(ordered[...], []) { arguments throws(ApusError) in
            try session.run(arguments, output: output, shrinking: memory == .released) { type, shape, bytes throws(ApusError) in
                try self.hostTensor(output, type, shape, bytes)
            }
        }
    }

    /// Opens the storage of one tensor after the other, so that all stay in place while `body` runs.
    private func withArguments(
        _ tensors: ArraySlice<HostTensor>, _ arguments: [TensorArgument],
        _ body: ([TensorArgument]) throws(ApusError) -> HostTensor
    ) throws(ApusError) -> HostTensor {
        guard let tensor = tensors.first else { return try body(arguments) }
        let next = { (bytes: UnsafeRawBufferPointer) throws(ApusError) -> HostTensor in
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
        switch elementType {
        case .float32: HostTensor(shape, .float32(Array(bytes.bindMemory(to: Float.self))))
        case .int32: HostTensor(shape, .int32(Array(bytes.bindMemory(to: Int32.self))))
        case .int64: HostTensor(shape, .int64(Array(bytes.bindMemory(to: Int64.self))))
        default:
            throw ApusError(
                .unsupportedModel, "output '\(outputs[index].name)' is \(elementType), only float32 and integers are read",
                place: name)
        }
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
        throwing body: (UnsafeRawBufferPointer) throws(ApusError) -> HostTensor
    ) throws(ApusError) -> HostTensor {
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
