import NIOHTTP1

extension HTTPHeaders {
    /// The key of `Authorization: Bearer KEY` (RFC 6750 section 2.1). Nil when there is none, or anything else in its place.
    var bearerKey: String? {
        let values = self["authorization"]
        guard values.count == 1, let value = values.first else { return nil }
        let scheme = value.prefix { $0 != " " }
        let key = value.dropFirst(scheme.count).drop { $0 == " " }
        guard scheme.lowercased() == "bearer", !key.isEmpty else { return nil }
        return String(key)
    }
}
