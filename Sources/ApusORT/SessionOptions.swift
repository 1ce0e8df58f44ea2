package import ApusErrors
import COnnxRuntime

/// How a session computes. Owned by the caller; the engine copies what it needs.
package struct SessionOptions: ~Copyable {
    let engine: Engine
    let handle: OpaquePointer
    let provider: ExecutionProvider

    /// Options for changing shapes: no memory patterns (they are cached per shape) and graph optimisations as asked.
    /// `threads` counts the calling thread; 1 means that the calling thread computes alone what is computed on the CPU.
    ///
    /// `device` names the provider's device in errors. Throws `provider_unavailable`.
    package static func open(
        _ engine: Engine, provider: ExecutionProvider, device: String, threads: Int, optimization: OptimizationLevel
    ) throws(ApusError) -> SessionOptions {
        var handle: OpaquePointer?
        try engine.check(OrtCreateSessionOptions(engine.api, &handle))
        guard let handle else { throw ApusError(.engineFailure, "ONNX Runtime returned no session options") }
        let options = SessionOptions(engine: engine, handle: handle, provider: provider)
        try engine.check(OrtSetSessionGraphOptimizationLevel(engine.api, handle, optimization.rawValue))
        try engine.check(OrtSetIntraOpNumThreads(engine.api, handle, Int32(clamping: max(1, threads))))
        try engine.check(OrtSetInterOpNumThreads(engine.api, handle, 1))
        try engine.check(OrtDisableMemPattern(engine.api, handle))
        try options.set("session.record_ep_graph_assignment_info", "1")
        try options.append(provider, device)
        return options
    }

    private init(engine: Engine, handle: OpaquePointer, provider: ExecutionProvider) {
        self.engine = engine
        self.handle = handle
        self.provider = provider
    }

    deinit {
        OrtReleaseSessionOptions(engine.api, handle)
    }

    /// Sets one of the engine's string-valued session keys.
    borrowing func set(_ key: String, _ value: String) throws(ApusError) {
        try engine.check(OrtAddSessionConfigEntry(engine.api, handle, key, value))
    }

    /// Offers `tensor` as the initializer `name`. The tensor must live until the session is created.
    borrowing func addInitializer(_ name: String, _ tensor: OpaquePointer) throws(ApusError) {
        try engine.check(OrtAddInitializer(engine.api, handle, name, tensor))
    }

    /// Lets sessions have nodes of Apus's own operators.
    borrowing func addOwnOperators() throws(ApusError) {
        try engine.check(OrtAddCustomOpDomain(engine.api, handle, engine.ownOperators))
    }
}

/// How much the engine rewrites a graph before it runs. Raw values are `GraphOptimizationLevel`.
package enum OptimizationLevel: Int32, Sendable {
    case none = 0
    case basic = 1
    case extended = 2
    case all = 99
}
