import ApusErrors
import ApusTensor
import COnnxRuntime

/// The engine's handles of a run's inputs.
struct TensorValues: ~Copyable {
    let engine: Engine
    private(set) var handles: [OpaquePointer] = []

    init(_ engine: Engine) {
        self.engine = engine
    }

    deinit {
        for handle in handles { OrtReleaseValue(engine.api, handle) }
    }

    /// Adds a tensor that stays where it is, in memory of the kind that `memory`, an `OrtMemoryInfo`, describes.
    mutating func add(borrowing argument: TensorArgument, in memory: OpaquePointer) throws(ApusError) {
        let shape = argument.shape.map(Int64.init)
        var value: OpaquePointer?
        try engine.check(
            OrtCreateTensorWithDataAsOrtValue(
                engine.api, memory, UnsafeMutableRawPointer(mutating: argument.data), argument.byteCount,
                shape, shape.count, argument.elementType.rawValue, &value))
        try adopt(value)
    }

    /// Adds a tensor of no particular contents.
    mutating func add(anyOf elementType: ElementType, _ shape: [Int]) throws(ApusError) {
        var allocator: OpaquePointer?
        try engine.check(OrtGetAllocatorWithDefaultOptions(engine.api, &allocator))
        guard let allocator else { throw ApusError(.engineFailure, "ONNX Runtime returned no allocator") }
        let shape = shape.map(Int64.init)
        var value: OpaquePointer?
        try engine.check(
            OrtCreateTensorAsOrtValue(engine.api, allocator, shape, shape.count, elementType.rawValue, &value))
        try adopt(value)
    }

    private mutating func adopt(_ value: OpaquePointer?) throws(ApusError) {
        guard let value else { throw ApusError(.engineFailure, "ONNX Runtime returned no tensor") }
        handles.append(value)
    }
}
