package import ApusErrors

extension ApusError.Code {
    /// The bytes on the connection are not HTTP/1.1, or contradict themselves.
    package static let invalidRequest = Self(rawValue: "invalid_request")
    package static let headerTooLarge = Self(rawValue: "header_too_large")
    package static let targetTooLong = Self(rawValue: "target_too_long")
    package static let requestTimeout = Self(rawValue: "request_timeout")
    /// Another process listens on the port.
    package static let addressInUse = Self(rawValue: "address_in_use")
    /// The address is not one of this machine's, or may not be used.
    package static let addressUnavailable = Self(rawValue: "address_unavailable")
}
