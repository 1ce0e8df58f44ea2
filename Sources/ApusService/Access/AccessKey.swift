package import ApusErrors
import Crypto
import Foundation

/// A key that lets a client in. The key itself is never kept, only its SHA-256.
package struct AccessKey: Sendable, Equatable {
    /// What a key is good for, spelled as in the configuration.
    package enum Scope: String, Sendable, CaseIterable {
        /// Asking models.
        case infer
        /// Loading and unloading models, and what may be done to devices.
        case admin
        /// Metrics and the state of devices.
        case metrics
    }

    /// What one key may use; nil is without limit.
    package struct Limits: Sendable, Equatable {
        /// 1 or more. A minute's worth may be spent at once.
        package var requestsPerMinute: Int?
        /// 1 or more, special tokens included, padding not. A minute's worth may be spent at once.
        package var tokensPerMinute: Int?
        /// Seconds of estimated work that may wait at once, more than 0.
        package var queueSeconds: Double?

        package init(requestsPerMinute: Int? = nil, tokensPerMinute: Int? = nil, queueSeconds: Double? = nil) {
            self.requestsPerMinute = requestsPerMinute
            self.tokensPerMinute = tokensPerMinute
            self.queueSeconds = queueSeconds
        }
    }

    package let name: String
    package let scopes: Set<Scope>
    package let limits: Limits
    package let highestPriority: EmbeddingOptions.Priority
    private let digest: [UInt8]

    /// - Parameters:
    ///   - sha256: of the key, 64 hexadecimal digits.
    ///   - highestPriority: the most urgent class the key's requests are queued in.
    /// - Throws: `.invalidConfiguration` for a digest that is none, no scope, no name or a limit out of its range.
    package init(
        name: String, sha256: String, scopes: Set<Scope> = [.infer], limits: Limits = Limits(),
        highestPriority: EmbeddingOptions.Priority = .high
    ) throws(ApusError) {
        guard !name.isEmpty else { throw Self.invalid("a key has a name", "auth.keys") }
        guard let digest = Self.bytes(sha256) else {
            throw Self.invalid("sha256 is 64 hexadecimal digits, the SHA-256 of the key", "auth.keys: \(name)")
        }
        guard !scopes.isEmpty else { throw Self.invalid("a key without a scope is good for nothing", "auth.keys: \(name)") }
        let counts = [limits.requestsPerMinute, limits.tokensPerMinute].compactMap { $0 }
        guard counts.allSatisfy({ $0 >= 1 }), limits.queueSeconds.map({ $0 > 0 && $0.isFinite }) ?? true else {
            throw Self.invalid("a limit must be more than 0", "auth.keys: \(name)")
        }
        self.name = name
        self.digest = digest
        self.scopes = scopes
        self.limits = limits
        self.highestPriority = highestPriority
    }

    /// The SHA-256 of `key` as it is configured, in lower-case hexadecimal digits.
    package static func sha256(of key: String) -> String {
        SHA256.hash(data: Array(key.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    /// Whether both are keys to the same door.
    func isSameKey(as other: AccessKey) -> Bool { digest == other.digest }

    /// Takes the same time whether they differ in the first byte, in the last, or not at all: `Digest ==` looks at every byte.
    func matches(_ presented: SHA256.Digest) -> Bool { presented == digest }

    private static func bytes(_ hexadecimal: String) -> [UInt8]? {
        let digits = hexadecimal.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }

    private static func invalid(_ message: String, _ place: String) -> ApusError {
        ApusError(.invalidConfiguration, message, place: place)
    }
}
