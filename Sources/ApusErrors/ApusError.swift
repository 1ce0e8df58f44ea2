/// What went wrong, told so that a program can branch on it and a person can act on it.
///
/// Every room of Apus throws this one type. Transports choose a status by ``code`` alone and never by parsing text.
public struct ApusError: Error, Sendable {
    /// A stable, machine-readable name, spelled as it appears on the wire (`invalid_json`, `model_not_found`, …).
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String

        public init(rawValue: String) {
            self.rawValue = rawValue
        }
    }

    public var code: Code
    /// One sentence about this occurrence.
    public var message: String
    /// Where: a file and line, a configuration key, a tensor, a request field.
    public var place: String?
    /// What to do next.
    public var advice: String?
    /// The error underneath, if another layer reported one.
    public var cause: (any Error)?

    public init(
        _ code: Code,
        _ message: String,
        place: String? = nil,
        advice: String? = nil,
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.place = place
        self.advice = advice
        self.cause = cause
    }
}

extension ApusError: CustomStringConvertible {
    public var description: String {
        var text = ""
        if let place { text += "\(place): " }
        text += message
        if let cause { text += " (\(cause))" }
        if let advice { text += ". \(advice)" }
        return text
    }
}
