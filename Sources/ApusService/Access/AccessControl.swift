package import ApusErrors
import Crypto
import Foundation

/// Decides who may come in.
package struct AccessControl: Sendable {
    /// Lets anyone in.
    package static let open = AccessControl(unchecked: [])

    let keys: [AccessKey]
    private let callers: [Caller]

    /// No key that Apus makes is longer than this, and none that people make should be; longer ones are not even hashed.
    private static let longestKey = 1024

    private init(unchecked keys: [AccessKey]) {
        self.keys = keys
        callers = keys.enumerated().map { index, key in
            Caller(
                client: ClientKey(number: index + 1, name: key.name, queueSeconds: key.limits.queueSeconds), scopes: key.scopes,
                highestPriority: key.highestPriority)
        }
    }

    /// - Throws: `.invalidConfiguration` for no keys at all, two of one name, or one key under two names.
    package init(keys: [AccessKey]) throws(ApusError) {
        guard !keys.isEmpty else {
            throw ApusError(.invalidConfiguration, "an empty list would let nobody in", place: "auth.keys")
        }
        for (index, key) in keys.enumerated() {
            for other in keys[..<index] {
                guard !other.name.utf8.elementsEqual(key.name.utf8) else {
                    throw ApusError(.invalidConfiguration, "two keys are called '\(key.name)'", place: "auth.keys")
                }
                guard !other.isSameKey(as: key) else {
                    throw ApusError(.invalidConfiguration, "'\(other.name)' and '\(key.name)' are the same key", place: "auth.keys")
                }
            }
        }
        self.init(unchecked: keys)
    }

    /// Whether no key is wanted.
    package var isOpen: Bool { keys.isEmpty }

    /// All keys, as models are told of them.
    package var clients: [ClientKey] { callers.compactMap(\.client) }

    /// Who presents `key`; nil when none was presented.
    /// - Throws: `.invalidAPIKey`.
    package func caller(presenting key: String?) throws(ApusError) -> Caller {
        guard !isOpen else { return .anyone }
        guard let key else {
            throw ApusError(.invalidAPIKey, "an API key is needed", advice: "Send it as Authorization: Bearer KEY")
        }
        guard key.utf8.count <= Self.longestKey else { throw Self.unknown }
        let presented = SHA256.hash(data: Array(key.utf8))
        // All keys are looked at, so that the time does not tell which one it was.
        var found: Int?
        for (index, known) in keys.enumerated() where known.matches(presented) { found = index }
        guard let found else { throw Self.unknown }
        return callers[found]
    }

    private static var unknown: ApusError {
        ApusError(.invalidAPIKey, "the API key is not one that this server knows")
    }
}
