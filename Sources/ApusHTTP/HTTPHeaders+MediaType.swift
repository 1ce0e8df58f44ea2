import ApusErrors
import NIOHTTP1

extension HTTPHeaders {
    /// Throws `unsupported_media_type` unless the body is `application/json`, whatever its parameters, and not compressed. A body without a
    /// type is refused too: browsers send such across origins without asking first.
    func requireJSON() throws(ApusError) {
        for coding in self[canonicalForm: "content-encoding"] where coding.lowercased() != "identity" {
            throw ApusError(.unsupportedMediaType, "the body must not be compressed", advice: "Leave Content-Encoding out")
        }
        let types = self["content-type"]
        let essence = types.first?.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        guard types.count == 1, essence == "application/json" else {
            throw ApusError(
                .unsupportedMediaType, "the body must be JSON", advice: "Send Content-Type: application/json"
            )
        }
    }
}
