import ApusErrors
import COnnxRuntime

/// Settings of one run.
final class RunOptions {
    let engine: Engine
    let handle: OpaquePointer

    /// Writes a trace of the run to a file of its own: the engine puts the time of day and `.json` behind `prefix`.
    static func profiling(_ engine: Engine, prefix: String) throws(ApusError) -> RunOptions {
        let options = try open(engine)
        try engine.check(OrtRunOptionsEnableProfiling(engine.api, options.handle, prefix))
        return options
    }

    /// Ends before the first operator and then gives back what `arenas` ("cpu:0", "gpu:1;cpu:0") hold unused.
    static func shrinking(_ engine: Engine, arenas: String) throws(ApusError) -> RunOptions {
        let options = try open(engine)
        try engine.check(OrtAddRunConfigEntry(engine.api, options.handle, "memory.enable_memory_arena_shrinkage", arenas))
        try engine.check(OrtRunOptionsSetTerminate(engine.api, options.handle))
        return options
    }

    private static func open(_ engine: Engine) throws(ApusError) -> RunOptions {
        var handle: OpaquePointer?
        try engine.check(OrtCreateRunOptions(engine.api, &handle))
        guard let handle else { throw ApusError(.engineFailure, "ONNX Runtime returned no run options") }
        return RunOptions(engine: engine, handle: handle)
    }

    private init(engine: Engine, handle: OpaquePointer) {
        self.engine = engine
        self.handle = handle
    }

    deinit {
        OrtReleaseRunOptions(engine.api, handle)
    }
}
