import ApusErrors
import ApusService
import NIOHTTP1

/// What the `x-apus-…` headers of a request ask for.
struct RequestHeaders {
    let deadline: ContinuousClock.Instant?
    let priority: EmbeddingOptions.Priority
    let provenance: Bool

    /// The longest deadline, 2^31 ms.
    private static let maxTimeout: Int64 = 1 << 31

    /// - Parameter arrival: when the request was complete; deadlines count from there.
    /// - Throws: `.invalidValue` naming the header.
    init(_ headers: HTTPHeaders, arrival: ContinuousClock.Instant) throws(ApusError) {
        if let text = try Self.single("x-apus-timeout-ms", headers) {
            guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let milliseconds = Int64(text), milliseconds <= Self.maxTimeout
            else {
                throw ApusError(
                    .invalidValue, "must be whole milliseconds from 0 to \(Self.maxTimeout)", place: "x-apus-timeout-ms"
                )
            }
            deadline = arrival.advanced(by: .milliseconds(milliseconds))
        } else {
            deadline = nil
        }
        if let text = try Self.single("x-apus-priority", headers) {
            guard let priority = EmbeddingOptions.Priority(rawValue: text) else {
                throw ApusError(.invalidValue, "must be high, medium or low", place: "x-apus-priority")
            }
            self.priority = priority
        } else {
            priority = .medium
        }
        switch try Self.single("x-apus-provenance", headers) {
        case nil, "0": provenance = false
        case "1": provenance = true
        default: throw ApusError(.invalidValue, "must be 0 or 1", place: "x-apus-provenance")
        }
    }

    private static func single(_ name: String, _ headers: HTTPHeaders) throws(ApusError) -> String? {
        let values = headers[name]
        guard values.count < 2 else {
            throw ApusError(.invalidValue, "must be given once", place: name)
        }
        return values.first
    }

    /// The client's `x-request-id` when it is 1 to 128 visible ASCII characters, else one made here.
    static func requestID(_ headers: HTTPHeaders) -> String {
        if let given = headers.first(name: "x-request-id"), (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        {
            return given
        }
        return "req-" + hexadecimal(.random(in: 0 ... .max)) + hexadecimal(.random(in: 0 ... .max))
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
