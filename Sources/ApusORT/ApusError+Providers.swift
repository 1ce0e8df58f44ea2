package import ApusErrors

extension ApusError.Code {
    /// The execution provider that was asked for is not in the engine, does not load, or has no such device.
    package static let providerUnavailable = Self(rawValue: "provider_unavailable")
    /// The execution provider would leave nodes of the model to the CPU, and that is not allowed.
    package static let providerIncomplete = Self(rawValue: "provider_incomplete")
}
