package import ApusErrors
package import ApusTensor
import COnnxRuntime

/// One model in the engine, ready to run. Runs may overlap on the CPU, where the engine allows any number on one session.
package final class Session: @unchecked Sendable {
    // Immutable after the initialiser; the engine synchronises what lies behind the handle.
    package let inputNames: [String]
    package let outputNames: [String]
    let engine: Engine
    let handle: SessionHandle
    let provider: ExecutionProvider
    /// Counts what the session takes from its device; nil when the provider lends none.
    let allocator: OpaquePointer?
    private let inputPointers: CStringArray
    private let outputPointers: CStringArray
    private let owners: [any AnyObject & Sendable]

    init(
        handle: consuming SessionHandle, provider: ExecutionProvider, keeping owners: [any AnyObject & Sendable] = []
    ) throws(ApusError) {
        engine = handle.engine
        inputNames = try handle.inputNames()
        outputNames = try handle.outputNames()
        allocator = handle.allocator(for: provider)
        self.provider = provider
        self.handle = handle
        self.owners = owners
        inputPointers = CStringArray(inputNames)
        outputPointers = CStringArray(outputNames)
    }

    deinit {
        if let allocator { OrtReleaseAllocator(engine.api, allocator) }
    }

    /// Loads an ONNX file.
    package static func open(
        _ engine: Engine, file path: String, options: borrowing SessionOptions
    ) throws(ApusError) -> Session {
        var pointer: OpaquePointer?
        do throws(ApusError) {
            try engine.check(OrtCreateSession(engine.api, engine.environment, path, options.handle, &pointer))
        } catch {
            throw ApusError(error.code, error.message, place: path, advice: error.advice)
        }
        return try Session(handle: SessionHandle.adopt(pointer, engine), provider: options.provider)
    }

    /// Loads an ONNX model from memory, which is read during the call only.
    ///
    /// - Parameter folder: where files lie that the model has tensors in.
    package static func open(
        _ engine: Engine, model: [UInt8], besideFilesIn folder: String, options: borrowing SessionOptions
    ) throws(ApusError) -> Session {
        try options.set("session.model_external_initializers_file_folder_path", folder)
        var pointer: OpaquePointer?
        try engine.check(OrtCreateSessionFromArray(engine.api, engine.environment, model, model.count, options.handle, &pointer))
        return try Session(handle: SessionHandle.adopt(pointer, engine), provider: options.provider)
    }

    /// The element type and shape (nil: known only at run time) of the input at `index`, or nil when it is not a tensor of a known type.
    package func inputType(at index: Int) throws(ApusError) -> (ElementType, [Int?])? {
        try handle.tensorType(index, OrtSessionGetInputTypeInfo)
    }

    package func outputType(at index: Int) throws(ApusError) -> (ElementType, [Int?])? {
        try handle.tensorType(index, OrtSessionGetOutputTypeInfo)
    }

    /// Runs the model on the calling thread.
    ///
    /// `inputs` are in the order of ``inputNames``; their bytes are read during the call only. The outputs at `places` of
    /// ``outputNames`` are handed to `receive` one after the other, each with its place, its type, its shape and its bytes, which are
    /// valid during the call only. With `profile`, a trace of the run is written to a file whose name begins with it, where that can be
    /// written.
    package func run<Result>(
        _ inputs: [TensorArgument], outputs places: [Int], profile: String? = nil,
        receive: (_ place: Int, ElementType, _ shape: [Int], UnsafeRawBufferPointer) throws(ApusError) -> Result
    ) throws(ApusError) -> [Result] {
        try requireFit(inputs.count, places)
        var arguments = TensorValues(engine)
        for input in inputs { try arguments.add(borrowing: input, in: engine.hostMemory) }
        return try handOver(try start(arguments, places, try options(profile: profile)), places, receive)
    }

    /// Throws unless there are as many inputs as the model has, and its outputs are asked for.
    func requireFit(_ inputs: Int, _ places: [Int]) throws(ApusError) {
        guard inputs == inputNames.count, !places.isEmpty, places.allSatisfy(outputNames.indices.contains) else {
            throw ApusError(
                .engineFailure, "the model has \(inputNames.count) inputs and \(outputNames.count) outputs, \(inputs) inputs were given")
        }
    }

    /// Those of one run.
    func options(profile: String?) throws(ApusError) -> RunOptions? {
        guard let profile else { return nil }
        return try .profiling(engine, prefix: profile)
    }

    /// Hands the results of a run, `values` for the outputs at `places`, to `receive`, and releases them.
    func handOver<Result>(
        _ values: [OpaquePointer?], _ places: [Int],
        _ receive: (_ place: Int, ElementType, _ shape: [Int], UnsafeRawBufferPointer) throws(ApusError) -> Result
    ) throws(ApusError) -> [Result] {
        defer { for case let value? in values { OrtReleaseValue(engine.api, value) } }
        var results: [Result] = []
        results.reserveCapacity(places.count)
        guard values.count == places.count else {
            throw ApusError(.engineFailure, "the engine gave \(values.count) outputs where \(places.count) were asked for")
        }
        for (index, value) in zip(places, values) {
            guard let value else { throw ApusError(.engineFailure, "output '\(outputNames[index])' was not produced") }
            let (elementType, shape) = try type(of: value, index)
            guard let count = ElementCount.bytes(of: shape, elementType) else {
                throw ApusError(.engineFailure, "output '\(outputNames[index])' has the impossible shape \(shape)")
            }
            var data: UnsafeMutableRawPointer?
            try engine.check(OrtGetTensorMutableData(engine.api, value, &data))
            results.append(try receive(index, elementType, shape, UnsafeRawBufferPointer(start: data, count: count)))
        }
        return results
    }

    /// One run with `options`; the caller releases what it returns.
    func start(
        _ arguments: borrowing TensorValues, _ places: [Int], _ options: RunOptions?
    ) throws(ApusError) -> [OpaquePointer?] {
        defer { withExtendedLifetime(options) {} }
        var results = [OpaquePointer?](repeating: nil, count: places.count)
        let names = places.map { outputPointers.pointers[$0] }
        try engine.check(
            OrtRun(
                engine.api, handle.pointer, options?.handle, inputPointers.pointers, arguments.handles, arguments.handles.count,
                names, names.count, &results))
        return results
    }

    private func type(of value: OpaquePointer, _ index: Int) throws(ApusError) -> (ElementType, [Int]) {
        var info: OpaquePointer?
        try engine.check(OrtGetTensorTypeAndShape(engine.api, value, &info))
        guard let info else { throw ApusError(.engineFailure, "ONNX Runtime returned no tensor type") }
        defer { OrtReleaseTensorTypeAndShapeInfo(engine.api, info) }
        guard let (elementType, shape) = try engine.tensorType(info) else {
            throw ApusError(.engineFailure, "output '\(outputNames[index])' has an element type that Apus does not know")
        }
        return (elementType, shape.map { $0 ?? -1 })
    }
}
