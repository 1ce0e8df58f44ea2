package import ApusErrors
package import ApusTensor
import COnnxRuntime

/// Builds one model in memory through the engine's model editor and turns it into a session.
///
/// Add inputs, outputs, constants and nodes in any order, then call ``finish(options:)`` once.
package struct ModelBuilder: ~Copyable {
    /// The engine looks whether it knows a domain of operators and then adds it, which two sessions made at once both do: the second fails with
    /// "the domain is already exist" (1.31.1). Seen where ranks of a group loaded together.
    private static let introductions = Guarded(())

    private let engine: Engine
    private var graph: OpaquePointer?
    private var inputs: [OpaquePointer?] = []
    private var outputs: [OpaquePointer?] = []
    /// Offered to the session options beside the graph: without that the engine reserves an arena block of the size of all
    /// weights that nothing ever uses.
    private var initializers: [(name: String, tensor: OpaquePointer)] = []
    private var owners: [any AnyObject & Sendable] = []
    private var hasOwnOperators = false

    package static func open(_ engine: Engine) throws(ApusError) -> ModelBuilder {
        var graph: OpaquePointer?
        try engine.check(OrtEditorCreateGraph(engine.editor, &graph))
        guard let graph else { throw ApusError(.engineFailure, "ONNX Runtime returned no graph") }
        return ModelBuilder(engine: engine, graph: graph)
    }

    private init(engine: Engine, graph: OpaquePointer) {
        self.engine = engine
        self.graph = graph
    }

    deinit {
        if let graph { OrtReleaseGraph(engine.api, graph) }
        for case let value? in inputs + outputs { OrtReleaseValueInfo(engine.api, value) }
        for (_, tensor) in initializers { OrtReleaseValue(engine.api, tensor) }
    }

    /// Declares a graph input. Nil dimensions are known only at run time and carry the name at their place in `symbols`.
    package mutating func addInput(
        _ name: String, _ type: ElementType, _ shape: [Int?], symbols: [String]
    ) throws(ApusError) {
        inputs.append(try valueInfo(name, type, shape, symbols))
    }

    package mutating func addOutput(
        _ name: String, _ type: ElementType, _ shape: [Int?], symbols: [String]
    ) throws(ApusError) {
        outputs.append(try valueInfo(name, type, shape, symbols))
    }

    /// Adds a constant whose bytes are copied into the graph.
    package mutating func addConstant(
        _ name: String, _ type: ElementType, _ shape: [Int], copying bytes: UnsafeRawBufferPointer
    ) throws(ApusError) {
        var allocator: OpaquePointer?
        try engine.check(OrtGetAllocatorWithDefaultOptions(engine.api, &allocator))
        guard let allocator else { throw ApusError(.engineFailure, "ONNX Runtime returned no allocator") }
        let dimensions = shape.map(Int64.init)
        var tensor: OpaquePointer?
        try engine.check(
            OrtCreateTensorAsOrtValue(engine.api, allocator, dimensions, dimensions.count, type.rawValue, &tensor))
        guard let tensor else { throw ApusError(.engineFailure, "ONNX Runtime returned no tensor") }
        var data: UnsafeMutableRawPointer?
        do throws(ApusError) {
            try engine.check(OrtGetTensorMutableData(engine.api, tensor, &data))
            guard let data, ElementCount.bytes(of: shape, type) == bytes.count else {
                throw ApusError(.engineFailure, "constant '\(name)' has \(bytes.count) bytes, its shape \(shape) wants another number")
            }
            if let source = bytes.baseAddress { data.copyMemory(from: source, byteCount: bytes.count) }
            try give(tensor, name, external: false)
        } catch {
            OrtReleaseValue(engine.api, tensor)
            throw error
        }
    }

    /// Adds a constant that stays where it is. `owner` keeps the bytes alive as long as the session lives.
    /// The engine accepts this for more than 127 bytes only; smaller constants are to be copied.
    package mutating func addConstant(
        _ name: String, _ type: ElementType, _ shape: [Int], borrowing bytes: UnsafeRawBufferPointer,
        from owner: any AnyObject & Sendable
    ) throws(ApusError) {
        guard ElementCount.bytes(of: shape, type) == bytes.count else {
            throw ApusError(.engineFailure, "constant '\(name)' has \(bytes.count) bytes, its shape \(shape) wants another number")
        }
        let tensor = try hostTensor(type, shape, bytes)
        do throws(ApusError) {
            try give(tensor, name, external: true)
        } catch {
            OrtReleaseValue(engine.api, tensor)
            throw error
        }
        initializers.append((name, try hostTensor(type, shape, bytes)))
        if owners.last !== owner { owners.append(owner) }
    }

    /// Adds an operator. An empty input name leaves an optional input out.
    package mutating func addNode(
        _ operation: String, domain: String, name: String, inputs: [String], outputs: [String],
        attributes: [(name: String, value: NodeAttribute)]
    ) throws(ApusError) {
        guard let graph else { return }
        var handles: [OpaquePointer?] = []
        // The engine empties the entries it takes over, so that what is left here is ours to release.
        defer { for case let handle? in handles { OrtReleaseOpAttr(engine.api, handle) } }
        for attribute in attributes {
            var handle: OpaquePointer?
            try engine.check(attribute.value.create(engine.api, attribute.name, &handle))
            handles.append(handle)
        }
        var node: OpaquePointer?
        let inputNames = CStringArray(inputs)
        let outputNames = CStringArray(outputs)
        try engine.check(
            OrtEditorCreateNode(
                engine.editor, operation, domain, name, inputNames.pointers, inputNames.pointers.count,
                outputNames.pointers, outputNames.pointers.count, &handles, handles.count, &node))
        guard let node else { throw ApusError(.engineFailure, "ONNX Runtime returned no node", place: name) }
        do throws(ApusError) {
            try engine.check(OrtEditorAddNodeToGraph(engine.editor, graph, node))
        } catch {
            OrtReleaseNode(engine.api, node)
            throw error
        }
        if domain == OperatorImports.ownDomain { hasOwnOperators = true }
    }

    /// Makes the session.
    package consuming func finish(options: borrowing SessionOptions) throws(ApusError) -> Session {
        guard let finished = graph else { throw ApusError(.engineFailure, "this model was finished before") }
        try engine.check(OrtEditorSetGraphInputs(engine.editor, finished, &inputs, inputs.count))
        inputs = []
        try engine.check(OrtEditorSetGraphOutputs(engine.editor, finished, &outputs, outputs.count))
        outputs = []

        let imports = OperatorImports(ownOperators: hasOwnOperators)
        var model: OpaquePointer?
        let domains = CStringArray(imports.sets.map(\.domain))
        try engine.check(
            OrtEditorCreateModel(
                engine.editor, domains.pointers, imports.sets.map(\.version), imports.sets.count, &model))
        guard let model else { throw ApusError(.engineFailure, "ONNX Runtime returned no model") }
        defer { OrtReleaseModel(engine.api, model) }
        try engine.check(OrtEditorAddGraphToModel(engine.editor, model, finished))
        graph = nil
        for (name, tensor) in initializers { try options.addInitializer(name, tensor) }
        let handle = hasOwnOperators ? try open(model, options, imports) : try open(model, options)
        return try Session(handle: handle, provider: options.provider, keeping: owners)
    }

    private func open(_ model: OpaquePointer, _ options: borrowing SessionOptions) throws(ApusError) -> SessionHandle {
        var pointer: OpaquePointer?
        try engine.check(
            OrtEditorCreateSessionFromModel(engine.editor, engine.environment, model, options.handle, &pointer))
        return try SessionHandle.adopt(pointer, engine)
    }

    /// A session of a model with operators of Apus's own. The engine does not look for them while it makes a session from a model; it does
    /// for the graph that a session gets which was made without one.
    private func open(
        _ model: OpaquePointer, _ options: borrowing SessionOptions, _ imports: OperatorImports
    ) throws(ApusError) -> SessionHandle {
        try options.addOwnOperators()
        let skeleton = imports.skeleton
        var pointer: OpaquePointer?
        try Self.introductions.withLock { _ throws(ApusError) in
            try engine.check(
                OrtEditorCreateModelEditorSessionFromArray(
                    engine.editor, engine.environment, skeleton, skeleton.count, options.handle, &pointer))
        }
        let handle = try SessionHandle.adopt(pointer, engine)
        try engine.check(OrtEditorApplyModelToModelEditorSession(engine.editor, handle.pointer, model))
        try engine.check(OrtEditorFinalizeModelEditorSession(engine.editor, handle.pointer, options.handle, nil))
        return handle
    }

    private func give(_ tensor: OpaquePointer, _ name: String, external: Bool) throws(ApusError) {
        guard let graph else { return }
        try engine.check(OrtEditorAddInitializerToGraph(engine.editor, graph, name, tensor, external))
    }

    private func hostTensor(
        _ type: ElementType, _ shape: [Int], _ bytes: UnsafeRawBufferPointer
    ) throws(ApusError) -> OpaquePointer {
        var tensor: OpaquePointer?
        let dimensions = shape.map(Int64.init)
        guard let data = UnsafeMutableRawPointer(mutating: bytes.baseAddress) else {
            throw ApusError(.engineFailure, "a borrowed constant has no bytes")
        }
        try engine.check(
            OrtCreateTensorWithDataAsOrtValue(
                engine.api, engine.hostMemory, data, bytes.count, dimensions, dimensions.count, type.rawValue, &tensor))
        guard let tensor else { throw ApusError(.engineFailure, "ONNX Runtime returned no tensor") }
        return tensor
    }

    private func valueInfo(
        _ name: String, _ type: ElementType, _ shape: [Int?], _ symbols: [String]
    ) throws(ApusError) -> OpaquePointer {
        var tensor: OpaquePointer?
        try engine.check(OrtCreateTensorTypeAndShapeInfo(engine.api, &tensor))
        guard let tensor else { throw ApusError(.engineFailure, "ONNX Runtime returned no tensor type") }
        defer { OrtReleaseTensorTypeAndShapeInfo(engine.api, tensor) }
        try engine.check(OrtSetTensorElementType(engine.api, tensor, type.rawValue))
        let dimensions = shape.map { Int64($0 ?? -1) }
        try engine.check(OrtSetDimensions(engine.api, tensor, dimensions, dimensions.count))
        let names = CStringArray(symbols)
        var pointers = names.pointers.map { Optional($0) }
        try engine.check(OrtSetSymbolicDimensions(engine.api, tensor, &pointers, pointers.count))

        var typeInfo: OpaquePointer?
        try engine.check(OrtEditorCreateTensorTypeInfo(engine.editor, tensor, &typeInfo))
        guard let typeInfo else { throw ApusError(.engineFailure, "ONNX Runtime returned no type") }
        defer { OrtReleaseTypeInfo(engine.api, typeInfo) }
        var value: OpaquePointer?
        try engine.check(OrtEditorCreateValueInfo(engine.editor, name, typeInfo, &value))
        guard let value else { throw ApusError(.engineFailure, "ONNX Runtime returned no value") }
        return value
    }
}
