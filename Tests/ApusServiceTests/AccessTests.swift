import ApusErrors
import ApusService
import Testing

@Suite("Access")
struct AccessTests {
    private func access(_ keys: [(name: String, key: String)]) throws -> AccessControl {
        try AccessControl(keys: try keys.map { try AccessKey(name: $0.name, sha256: AccessKey.sha256(of: $0.key)) })
    }

    @Test("The digest of a key is its SHA-256 (FIPS 180-2, appendix B.1)")
    func digest() {
        #expect(AccessKey.sha256(of: "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("Each key is known for whose it is, and nothing near it is a key")
    func presenting() throws {
        let access = try access([("first", "key-one"), ("second", "key-two"), ("accented", "sl\u{FC}ssel")])
        #expect(!access.isOpen)
        #expect(access.clients.map(\.number) == [1, 2, 3])
        #expect(AccessControl.open.clients.isEmpty)
        #expect(try access.caller(presenting: "key-one").client == ClientKey(number: 1, name: "first"))
        #expect(try access.caller(presenting: "key-two").client == ClientKey(number: 2, name: "second"))
        #expect(try access.caller(presenting: "sl\u{FC}ssel").client?.number == 3)
        // Equal as Swift strings, and not the same bytes.
        let strangers = ["", "key-on", "key-onee", "KEY-ONE", "key-one ", "slu\u{308}ssel", String(repeating: "k", count: 100_000)]
        for stranger in strangers {
            let error = #expect(throws: ApusError.self) { try access.caller(presenting: stranger) }
            #expect(error?.code == .invalidAPIKey)
            #expect(stranger.isEmpty || error?.description.contains(stranger) == false)
        }
        #expect(throws: ApusError.self) { try access.caller(presenting: nil) }
        // A digest is no key.
        #expect(throws: ApusError.self) { try access.caller(presenting: AccessKey.sha256(of: "key-one")) }
    }

    @Test("Without keys anyone may do everything")
    func open() throws {
        for key in [nil, "anything"] {
            let caller = try AccessControl.open.caller(presenting: key)
            #expect(caller == .anyone)
            for scope in AccessKey.Scope.allCases { try caller.require(anyOf: [scope]) }
        }
    }

    @Test("A digest may be written in capitals, and nothing else than one is taken")
    func digests() throws {
        let digest = AccessKey.sha256(of: "k")
        let capitals = try AccessControl(keys: [AccessKey(name: "n", sha256: digest.uppercased())])
        #expect(try capitals.caller(presenting: "k").client?.name == "n")
        for wrong in ["", String(digest.dropLast()), digest + "0", String(digest.dropLast()) + "g", String(repeating: "\u{FF11}", count: 64)] {
            let error = #expect(throws: ApusError.self) { try AccessKey(name: "n", sha256: wrong) }
            #expect(error?.code == .invalidConfiguration)
        }
    }

    @Test("No keys, two of one name, the same key twice and impossible limits are refused")
    func impossible() throws {
        #expect(throws: ApusError.self) { try AccessControl(keys: []) }
        #expect(throws: ApusError.self) { try access([("a", "1"), ("a", "2")]) }
        #expect(throws: ApusError.self) { try access([("a", "1"), ("b", "1")]) }
        let digest = AccessKey.sha256(of: "k")
        #expect(throws: ApusError.self) { try AccessKey(name: "", sha256: digest) }
        #expect(throws: ApusError.self) { try AccessKey(name: "n", sha256: digest, scopes: []) }
        for limits in [
            AccessKey.Limits(requestsPerMinute: 0), AccessKey.Limits(tokensPerMinute: -1), AccessKey.Limits(queueSeconds: 0),
            AccessKey.Limits(queueSeconds: .nan), AccessKey.Limits(queueSeconds: .infinity),
        ] {
            #expect(throws: ApusError.self) { try AccessKey(name: "n", sha256: digest, limits: limits) }
        }
    }

    @Test("A key reaches as far as its scopes")
    func scopes() throws {
        let key = try AccessKey(name: "n", sha256: AccessKey.sha256(of: "k"), scopes: [.metrics])
        let caller = try AccessControl(keys: [key]).caller(presenting: "k")
        try caller.require(anyOf: [.metrics, .admin])
        let error = #expect(throws: ApusError.self) { try caller.require(anyOf: [.infer, .admin]) }
        #expect(error?.code == .insufficientScope)
        #expect(error?.advice == "Use a key with the scope infer or admin")
    }

    @Test("A class of priority is never raised by a cap")
    func priorities() {
        typealias Priority = EmbeddingOptions.Priority
        for wanted in Priority.allCases {
            #expect(wanted.capped(at: .high) == wanted)
            #expect(wanted.capped(at: .low) == .low)
        }
        #expect(Priority.high.capped(at: .medium) == .medium)
        #expect(Priority.medium.capped(at: .medium) == .medium)
        #expect(Priority.low.capped(at: .medium) == .low)
    }
}
