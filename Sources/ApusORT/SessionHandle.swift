import ApusErrors
import ApusTensor
import COnnxRuntime

/// Owns one session of the engine.
struct SessionHandle: ~Copyable {
    typealias Count = (UnsafePointer<OrtApi>, OpaquePointer, UnsafeMutablePointer<Int>) -> OpaquePointer?
    typealias Name = (
        UnsafePointer<OrtApi>, OpaquePointer, Int, OpaquePointer, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    ) -> OpaquePointer?
    typealias TypeInfo = (
        UnsafePointer<OrtApi>, OpaquePointer, Int, UnsafeMutablePointer<OpaquePointer?>
    ) -> OpaquePointer?

    let engine: Engine
    let pointer: OpaquePointer

    static func adopt(_ pointer: OpaquePointer?, _ engine: Engine) throws(ApusError) -> SessionHandle {
        guard let pointer else { throw ApusError(.engineFailure, "ONNX Runtime returned no session") }
        return SessionHandle(engine: engine, pointer: pointer)
    }

    private init(engine: Engine, pointer: OpaquePointer) {
        self.engine = engine
        self.pointer = pointer
    }

    deinit {
        OrtReleaseSession(engine.api, pointer)
        // Packed weights and the tables of a graph are small pieces, which the C library would keep.
        Engine.returnFreedPages()
    }

    borrowing func inputNames() throws(ApusError) -> [String] {
        try names(OrtSessionGetInputCount, OrtSessionGetInputName)
    }

    borrowing func outputNames() throws(ApusError) -> [String] {
        try names(OrtSessionGetOutputCount, OrtSessionGetOutputName)
    }

    /// Nil when the value is not a tensor, or of an element type Apus does not know.
    borrowing func tensorType(_ index: Int, _ get: TypeInfo) throws(ApusError) -> (ElementType, [Int?])? {
        var info: OpaquePointer?
        try engine.check(get(engine.api, pointer, index, &info))
        guard let info else { return nil }
        defer { OrtReleaseTypeInfo(engine.api, info) }
        var tensor: OpaquePointer?
        try engine.check(OrtCastTypeInfoToTensorInfo(engine.api, info, &tensor))
        guard let tensor else { return nil }
        return try engine.tensorType(tensor)
    }

    private borrowing func names(_ count: Count, _ name: Name) throws(ApusError) -> [String] {
        var allocator: OpaquePointer?
        try engine.check(OrtGetAllocatorWithDefaultOptions(engine.api, &allocator))
        guard let allocator else { throw ApusError(.engineFailure, "ONNX Runtime returned no allocator") }
        var total = 0
        try engine.check(count(engine.api, pointer, &total))
        var names: [String] = []
        for index in 0..<total {
            var text: UnsafeMutablePointer<CChar>?
            try engine.check(name(engine.api, pointer, index, allocator, &text))
            guard let text else { throw ApusError(.engineFailure, "ONNX Runtime returned no name") }
            names.append(String(cString: text))
            try engine.check(OrtAllocatorFree(engine.api, allocator, text))
        }
        return names
    }
}

extension Engine {
    /// Reads a tensor type; nil when its element type is one Apus does not know. Dimensions known only at run time are nil.
    func tensorType(_ info: OpaquePointer) throws(ApusError) -> (ElementType, [Int?])? {
        var raw: Int32 = 0
        try check(OrtGetTensorElementType(api, info, &raw))
        guard let elementType = ElementType(rawValue: raw) else { return nil }
        var rank = 0
        try check(OrtGetDimensionsCount(api, info, &rank))
        var dimensions = [Int64](repeating: 0, count: rank)
        try check(OrtGetDimensions(api, info, &dimensions, rank))
        return (elementType, dimensions.map { $0 < 0 ? nil : Int($0) })
    }
}
