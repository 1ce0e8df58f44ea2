/// Something in a configuration that cannot be accepted.
package struct ConfigurationProblem: Sendable, Equatable, CustomStringConvertible {
    package let origin: ConfigurationOrigin
    /// The key's path; empty when the file as a whole is meant.
    package let key: String
    package let message: String

    package var description: String {
        key.isEmpty ? "\(origin): \(message)" : "\(origin): \(key): \(message)"
    }
}

/// Something accepted that will not do what its author may expect.
package struct ConfigurationNote: Sendable, Equatable, CustomStringConvertible {
    package let origin: ConfigurationOrigin
    package let key: String
    package let message: String

    package var description: String { "\(origin): \(key): \(message)" }
}

/// Where a setting was read.
package enum ConfigurationOrigin: Sendable, Hashable, CustomStringConvertible {
    case file(String, line: Int)
    /// The name of an environment variable.
    case environment(String)
    /// The spelling of a command line option, `--port`.
    case option(String)

    package var description: String {
        switch self {
        case .file(let name, let line): "\(name):\(line)"
        case .environment(let name): "environment variable \(name)"
        case .option(let name): "option \(name)"
        }
    }
}
