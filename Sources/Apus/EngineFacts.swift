package import ApusErrors
import ApusORT

/// What the engine of an installation is and offers. Reading it loads the engine into this process.
package struct EngineFacts: Sendable {
    /// The engine's own version, `1.31.1`.
    package let version: String
    package let library: String
    /// Execution providers compiled in, most capable first.
    package let providers: [String]

    /// Throws `engine_missing` or `engine_incompatible`.
    package init(_ installation: Installation) throws(ApusError) {
        let engine = try Engine.open(libraryPath: try installation.engineLibrary())
        version = engine.version
        library = engine.libraryPath
        providers = try engine.availableProviders()
    }
}
