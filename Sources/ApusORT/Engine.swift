package import ApusErrors
import CApusOps
import COnnxRuntime

/// The ONNX Runtime library of this process and its one environment.
///
/// The engine allows a single environment per process and cannot be unloaded, so an `Engine` lives until the process ends.
package final class Engine: Sendable {
    /// The engine's own version, `1.31.1`.
    package let version: String
    /// The library file it was loaded from.
    package let libraryPath: String

    nonisolated(unsafe) let api: UnsafePointer<OrtApi>
    nonisolated(unsafe) let editor: UnsafePointer<OrtModelEditorApi>
    nonisolated(unsafe) let environment: OpaquePointer
    /// Describes host memory; used for every tensor that lives in it.
    nonisolated(unsafe) let hostMemory: OpaquePointer
    /// The operators of Apus's own; sessions that use them need it as long as they live.
    nonisolated(unsafe) let ownOperators: OpaquePointer
    /// The provider libraries loaded so far.
    let loadedProviders = Guarded<[ProviderName: String]>([:])

    private static let shared = Guarded<Engine?>(nil)

    /// Loads the library at `path` on the first call; later calls return the engine already loaded, whatever their path.
    ///
    /// Throws `engine_missing` when there is no library or it is not ONNX Runtime and `engine_incompatible` when it is older than 1.29.
    package static func open(libraryPath path: String) throws(ApusError) -> Engine {
        try shared.withLock { engine throws(ApusError) in
            if let engine { return engine }
            let opened = try Engine(libraryPath: path)
            engine = opened
            return opened
        }
    }

    private init(libraryPath path: String) throws(ApusError) {
        var api: UnsafePointer<OrtApi>?
        var version: UnsafePointer<CChar>?
        var reason = [CChar](repeating: 0, count: 1024)
        let result = ApusOrtOpen(path, &api, &version, &reason, reason.count)
        let why = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let setup = "Run `make setup`, or name a library of ONNX Runtime 1.\(APUS_ORT_API_VERSION) or newer in APUS_ENGINE"
        switch result {
        case ApusOrtOpened:
            break
        case ApusOrtTooOld:
            throw ApusError(
                .engineIncompatible, "ONNX Runtime \(why) is not supported, 1.\(APUS_ORT_API_VERSION) or newer is needed",
                place: path, advice: setup)
        case ApusOrtNotAnEngine:
            throw ApusError(.engineMissing, "this library is not ONNX Runtime: \(why)", place: path, advice: setup)
        default:
            throw ApusError(.engineMissing, "ONNX Runtime could not be loaded: \(why)", place: path, advice: setup)
        }
        guard let api, let version, let editor = OrtGetModelEditorApi(api) else {
            throw ApusError(.engineIncompatible, "ONNX Runtime has no model editor interface", place: path, advice: setup)
        }
        self.api = api
        self.editor = editor
        self.version = String(cString: version)
        libraryPath = path

        var environment: OpaquePointer?
        try Self.check(
            OrtCreateEnvWithCustomLogger(api, EngineLog.write, nil, EngineLog.errorSeverity, "apus", &environment), api)
        var memory: OpaquePointer?
        try Self.check(OrtCreateCpuMemoryInfo(api, 1, 0, &memory), api)
        var operators: OpaquePointer?
        try Self.check(ApusOpsCreateDomain(api, &operators), api)
        guard let environment, let memory, let operators else {
            throw ApusError(.engineFailure, "ONNX Runtime returned no environment", place: path)
        }
        self.environment = environment
        hostMemory = memory
        ownOperators = operators
    }

    /// Has blocks as large as those of the engine's arenas go back to the system as soon as they are freed. For processes that do nothing
    /// but run models: it is a setting of all of their memory.
    package static func mapLargeBlocks() {
        ApusMapLargeBlocks()
    }

    /// Hands memory that was freed back to the system, where the C library keeps it otherwise (glibc).
    package static func returnFreedPages() {
        ApusReturnFreedPages()
    }

    /// Translates a status into an error and releases it. A nil status is success.
    func check(_ status: OpaquePointer?) throws(ApusError) {
        try Self.check(status, api)
    }

    private static func check(_ status: OpaquePointer?, _ api: UnsafePointer<OrtApi>) throws(ApusError) {
        guard let status else { return }
        defer { OrtReleaseStatus(api, status) }
        throw EngineStatus(code: OrtGetErrorCode(api, status), message: String(cString: OrtGetErrorMessage(api, status))).error
    }
}
