package import ApusErrors

extension ApusError.Code {
    /// A model that is named but could not be loaded.
    package static let modelFailed = Self(rawValue: "model_failed")
    /// Something in Apus went wrong that no client can mend.
    package static let internalError = Self(rawValue: "internal_error")
}

/// When to come back, carried as the `cause` of an `.overloaded`, `.rateLimitExceeded`, `.modelLoading` or
/// `.modelUnloaded` error.
package struct RetryHint: Error, Sendable, Equatable, CustomStringConvertible {
    /// Whole seconds, 1 or more.
    package let seconds: Int

    package init(seconds: Int) {
        self.seconds = max(1, seconds)
    }

    package var description: String { "try again in \(seconds) s" }
}
