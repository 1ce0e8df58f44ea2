extension ConfigurationDecoder {
    private static let names = ["name", "sha256", "scopes", "requests_per_minute", "tokens_per_minute", "max_queue_seconds", "priority"]

    /// All keys, or nil when one of them is refused. A list without keys is refused: it would let everyone in, or nobody.
    mutating func keys(_ node: ConfigurationNode) -> [Configuration.Auth.Key]? {
        guard let keys = list(node, { $0.accessKey($1, $2) }) else { return nil }
        guard !keys.isEmpty else { return refuse(node, "the list is empty; take it out to want no key, or name one", key) }
        return keys
    }

    private mutating func accessKey(_ node: ConfigurationNode, _ place: String) -> Configuration.Auth.Key? {
        guard case .section(let entries) = node.content else { return wrong(node, "a section", place) }
        let before = problems.count
        var key = Configuration.Auth.Key(name: "", sha256: "")
        for entry in entries {
            let path = "\(place).\(entry.key)"
            let value = entry.value
            switch entry.key {
            case "name": key.name = name(value, path) ?? ""
            case "sha256": key.sha256 = digest(value, path) ?? ""
            case "scopes": key.scopes = scopes(value, path) ?? []
            case "requests_per_minute": key.requestsPerMinute = integer(value, 1...1_000_000_000, path)
            case "tokens_per_minute": key.tokensPerMinute = integer(value, 1...1_000_000_000_000, path)
            case "max_queue_seconds": key.maxQueueSeconds = number(value, 0.001...86_400, path)
            case "priority":
                let names = Configuration.Auth.Key.Priority.allCases.map(\.rawValue)
                key.priority = choice(value, names, path).flatMap(Configuration.Auth.Key.Priority.init) ?? .low
            default: unknown(entry, path, among: Self.names)
            }
        }
        for required in ["name", "sha256"] where !entries.contains(where: { $0.key == required }) {
            _ = refuse(node, "a key has a '\(required)'", place) as Never?
        }
        return problems.count == before ? key : nil
    }

    /// What goes into logs and metrics without more ado.
    private mutating func name(_ node: ConfigurationNode, _ path: String) -> String? {
        guard let name = text(node, path) else { return nil }
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "@"):
                true
            default: false
            }
        }
        guard isPlain, name.utf8.count <= 64 else { return refuse(node, "a name has up to 64 letters, digits and -_.@", path) }
        return name
    }

    /// What was written is not repeated: it may be the key itself, put where its digest belongs.
    private mutating func digest(_ node: ConfigurationNode, _ path: String) -> String? {
        guard case .text(let text) = node.content, text.utf8.count == 64,
            text.unicodeScalars.allSatisfy({ $0.isASCII && $0.properties.isASCIIHexDigit })
        else {
            return refuse(node, "64 hexadecimal digits between quotes are wanted, the SHA-256 of the key; `apus keys new` makes both", path)
        }
        return text.lowercased()
    }

    private mutating func scopes(_ node: ConfigurationNode, _ path: String) -> Set<Configuration.Auth.Key.Scope>? {
        let names = Configuration.Auth.Key.Scope.allCases.map(\.rawValue)
        guard let scopes = list(node, path, { $0.choice($1, names, $2) }) else { return nil }
        guard !scopes.isEmpty else { return refuse(node, "the list is empty; a key is good for at least one of \(names.joined(separator: ", "))", path) }
        return Set(scopes.compactMap(Configuration.Auth.Key.Scope.init))
    }
}
