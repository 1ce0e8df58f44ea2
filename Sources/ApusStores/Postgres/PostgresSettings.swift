package import ApusErrors
import Foundation

/// Which PostgreSQL is used and how: a validated value.
package struct PostgresSettings: Sendable {
    /// As libpq takes it, password included.
    let url: String
    /// How it is called in messages: without user, password and options.
    let address: String
    /// The file of PostgreSQL's client library; nil for the system's.
    let library: String?
    /// Connections at once.
    let connections: Int
    /// For a connection to be there, and for each command.
    let connectTimeout: Duration
    let commandTimeout: Duration

    /// Whether a place for collections is meant to be a database.
    package static func isURL(_ place: String) -> Bool { place.hasPrefix("postgres://") || place.hasPrefix("postgresql://") }

    /// - Parameter url: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`, all that libpq understands. Throws `invalid_configuration`; its
    ///   message does not show the password.
    package init(
        url: String, library: String? = nil, connections: Int = 8, connectTimeout: Duration = .seconds(5), commandTimeout: Duration = .seconds(30)
    ) throws(ApusError) {
        guard Self.isURL(url), let parts = URLComponents(string: url), !url.utf8.contains(0) else {
            throw ApusError(
                .invalidConfiguration, "the address of the collections is no postgres:// address", place: "data",
                advice: "Write postgres://USER:PASSWORD@HOST:PORT/DATABASE")
        }
        guard (1...256).contains(connections), connectTimeout > .zero, commandTimeout > .zero else {
            throw ApusError(.invalidConfiguration, "1 to 256 connections and times above 0 are wanted", place: "data")
        }
        self.url = url
        address = "postgres://\(parts.host ?? "")\(parts.port.map { ":\($0)" } ?? "")\(parts.path)"
        self.library = library
        self.connections = connections
        self.connectTimeout = connectTimeout
        self.commandTimeout = commandTimeout
    }
}
