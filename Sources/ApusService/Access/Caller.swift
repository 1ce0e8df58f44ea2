package import ApusErrors

/// Who sent a request, and what they may do.
package struct Caller: Sendable, Equatable {
    /// Anyone at all, where no keys are configured: may do everything.
    package static let anyone = Caller(client: nil, scopes: Set(AccessKey.Scope.allCases), highestPriority: .high)

    /// Nil without a key.
    package let client: ClientKey?
    package let scopes: Set<AccessKey.Scope>
    /// The most urgent class they are queued in, whatever they ask for.
    package let highestPriority: EmbeddingOptions.Priority

    /// - Throws: `.insufficientScope` unless they have one of `scopes`.
    package func require(anyOf wanted: Set<AccessKey.Scope>) throws(ApusError) {
        guard scopes.isDisjoint(with: wanted) else { return }
        let names = AccessKey.Scope.allCases.filter(wanted.contains).map(\.rawValue).joined(separator: " or ")
        throw ApusError(.insufficientScope, "the API key is not allowed to do this", advice: "Use a key with the scope \(names)")
    }
}
