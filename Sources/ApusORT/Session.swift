package import ApusErrors
package import ApusTensor
import COnnxRuntime

/// One model in the engine, ready to run. Runs may overlap: the engine allows any number on one session.
package final class Session: @unchecked Sendable {
    // Immutable after the initialiser; the engine synchronises what lies behind the handle.
    package let inputNames: [String]
    package let outputNames: [String]
    private let engine: Engine
    private let handle: SessionHandle
    private let inputPointers: CStringArray
    private let outputPointers: CStringArray
    private let owners: [any AnyObject & Sendable]

    init(
        handle: consuming SessionHandle, inputNames: [String], outputNames: [String],
        keeping owners: [any AnyObject & Sendable]
    ) {
        engine = handle.engine
        self.handle = handle
        self.inputNames = inputNames
        self.outputNames = outputNames
        self.owners = owners
        inputPointers = CStringArray(inputNames)
        outputPointers = CStringArray(outputNames)
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
        let handle = try SessionHandle.adopt(pointer, engine)
        let inputs = try handle.inputNames()
        let outputs = try handle.outputNames()
        return Session(handle: handle, inputNames: inputs, outputNames: outputs, keeping: [])
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
    /// `inputs` are in the order of ``inputNames``; their bytes are read during the call only. The output at `index` of
    /// ``outputNames`` is handed to `receive` with its type, its shape and its bytes, which are valid during the call only.
    /// `shrinking` gives the arena's free memory back afterwards.
    package func run<Result>(
        _ inputs: [TensorArgument], output index: Int, shrinking: Bool,
        receive: (ElementType, _ shape: [Int], UnsafeRawBufferPointer) throws(ApusError) -> Result
    ) throws(ApusError) -> Result {
        guard inputs.count == inputNames.count, outputNames.indices.contains(index) else {
            throw ApusError(
                .engineFailure, "the model has \(inputNames.count) inputs and \(outputNames.count) outputs, \(inputs.count) inputs were given")
        }
        var arguments: [OpaquePointer] = []
        arguments.reserveCapacity(inputs.count)
        defer { for argument in arguments { OrtReleaseValue(engine.api, argument) } }
        for input in inputs {
            var value: OpaquePointer?
            let shape = input.shape.map(Int64.init)
            try engine.check(
                OrtCreateTensorWithDataAsOrtValue(
                    engine.api, engine.hostMemory, UnsafeMutableRawPointer(mutating: input.data), input.byteCount,
                    shape, shape.count, input.elementType.rawValue, &value))
            guard let value else { throw ApusError(.engineFailure, "ONNX Runtime returned no tensor") }
            arguments.append(value)
        }
        var result: OpaquePointer?
        defer { if let result { OrtReleaseValue(engine.api, result) } }
        let names = [outputPointers.pointers[index]]
        try engine.check(
            OrtRun(
                engine.api, handle.pointer, shrinking ? engine.shrinkingRun : nil, inputPointers.pointers, arguments,
                arguments.count, names, 1, &result))
        guard let result else { throw ApusError(.engineFailure, "output '\(outputNames[index])' was not produced") }
        let (elementType, shape) = try type(of: result, index)
        guard let count = ElementCount.bytes(of: shape, elementType) else {
            throw ApusError(.engineFailure, "output '\(outputNames[index])' has the impossible shape \(shape)")
        }
        var data: UnsafeMutableRawPointer?
        try engine.check(OrtGetTensorMutableData(engine.api, result, &data))
        return try receive(elementType, shape, UnsafeRawBufferPointer(start: data, count: count))
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
