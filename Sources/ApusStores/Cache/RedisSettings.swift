package import ApusErrors
import Foundation

/// Which Redis or Valkey is used and how: a validated value.
package struct RedisSettings: Sendable, Equatable {
    let host: String
    let port: Int
    /// Nil for the default user.
    let user: String?
    let password: String?
    let database: Int
    /// The longest that a request waits.
    let timeout: Duration
    /// Whole seconds; nil for entries that stay as long as the server keeps them.
    let expirySeconds: Int64?
    /// Before every key.
    let prefix: String

    /// How it is called in the log: without user and password.
    var address: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)" }

    /// - Parameter url: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`; `valkey://` is the same.
    ///
    /// Throws `invalid_configuration`; its message does not show the password.
    package init(url: String, timeout: Duration, expiry: Duration?, prefix: String) throws(ApusError) {
        func wrong(_ what: String, _ advice: String? = nil) -> ApusError {
            ApusError(.invalidConfiguration, "the address of the shared cache \(what)", place: "cache.redis.url", advice: advice)
        }
        guard let parts = URLComponents(string: url), let scheme = parts.scheme?.lowercased() else {
            throw wrong("is none", "Write redis://HOST:PORT/DATABASE")
        }
        guard scheme != "rediss", scheme != "valkeys" else {
            throw wrong("asks for TLS, which is not spoken to it", "Use a tunnel that ends on this machine, or a network of its own, with redis://")
        }
        guard scheme == "redis" || scheme == "valkey" else { throw wrong("begins with \(scheme)://", "Write redis://HOST:PORT/DATABASE") }
        guard var host = parts.host, !host.isEmpty else { throw wrong("names no host", "Write redis://HOST:PORT/DATABASE") }
        guard parts.query == nil, parts.fragment == nil else { throw wrong("has more than a database after the host") }
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let port = parts.port ?? 6379
        guard (1...65_535).contains(port) else { throw wrong("has the port \(port)") }
        var database = 0
        let path = parts.path.drop { $0 == "/" }
        if !path.isEmpty {
            guard let number = Int(path), (0...65_535).contains(number) else { throw wrong("has a database that is no number") }
            database = number
        }
        guard timeout > .zero, timeout <= .seconds(1) else {
            throw ApusError(.invalidConfiguration, "must be above 0 and at most a second", place: "cache.redis.timeout_ms")
        }
        if let expiry, expiry < .seconds(1) {
            throw ApusError(.invalidConfiguration, "must be at least a second", place: "cache.redis.ttl_seconds")
        }
        guard prefix.utf8.count <= 256 else {
            throw ApusError(.invalidConfiguration, "must have at most 256 bytes", place: "cache.redis.prefix")
        }
        (self.host, self.port, self.database) = (host, port, database)
        user = parts.user.flatMap { $0.isEmpty ? nil : $0 }
        password = parts.password
        guard user == nil || password != nil else { throw wrong("names a user without a password") }
        self.timeout = timeout
        expirySeconds = expiry?.components.seconds
        self.prefix = prefix
    }
}
