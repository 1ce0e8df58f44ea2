import ApusConfiguration
import ApusErrors
import Foundation
import Testing

struct KeyConfigurationTests {
    private static let one = String(repeating: "1a", count: 32)
    private static let two = String(repeating: "2b", count: 32)

    private func load(_ text: String, _ name: String = "a.yaml", environment: [String: String] = [:]) throws -> Configuration.Auth {
        try Configuration.load(text: text, name: name, environment: environment).configuration.auth
    }

    private func problems(_ text: String, environment: [String: String] = [:]) -> [String] {
        do {
            _ = try load(text, environment: environment)
            return []
        } catch {
            return (error as? ApusError)?.message.split(separator: "\n").dropFirst().map(String.init) ?? ["\(error)"]
        }
    }

    @Test func `keys mean the same in both formats`() throws {
        let yaml = """
            auth:
              keys:
                - name: batch-jobs
                  sha256: "\(Self.one.uppercased())"
                  scopes: [infer, metrics]
                  requests_per_minute: 600
                  tokens_per_minute: 1000000
                  max_queue_seconds: 2.5
                  priority: low
                - {name: ops, sha256: "\(Self.two)", scopes: [admin]}
            """
        let toml = """
            [[auth.keys]]
            name = "batch-jobs"
            sha256 = "\(Self.one)"
            scopes = ["metrics", "infer"]
            requests_per_minute = 600
            tokens_per_minute = 1_000_000
            max_queue_seconds = 2.5
            priority = "low"
            [[auth.keys]]
            name = "ops"
            sha256 = "\(Self.two)"
            scopes = ["admin"]
            """
        let auth = try load(yaml)
        #expect(auth == (try load(toml, "a.toml")))
        var first = Configuration.Auth.Key(name: "batch-jobs", sha256: Self.one)
        first.scopes = [.infer, .metrics]
        first.requestsPerMinute = 600
        first.tokensPerMinute = 1_000_000
        first.maxQueueSeconds = 2.5
        first.priority = .low
        var second = Configuration.Auth.Key(name: "ops", sha256: Self.two)
        second.scopes = [.admin]
        #expect(auth.keys == [first, second])
    }

    @Test func `a key is for inference in any class unless it says otherwise, and without keys none is wanted`() throws {
        let key = try #require(try load("auth: {keys: [{name: a, sha256: '\(Self.one)'}]}").keys.first)
        #expect(key.scopes == [.infer])
        #expect(key.priority == .high)
        #expect((key.requestsPerMinute, key.tokensPerMinute) == (nil, nil))
        #expect(try load("auth:").keys.isEmpty)
    }

    @Test(arguments: [
        ("auth: {keys: []}", "a.yaml:1: auth.keys: the list is empty; take it out to want no key, or name one"),
        ("auth:\n  keys:", "a.yaml:2: auth.keys: a list is wanted, not nothing"),
        ("auth:\n  keys: secret", "a.yaml:2: auth.keys: a list is wanted, not \"secret\""),
        ("auth: {keys: [a]}", "a.yaml:1: auth.keys[0]: a section is wanted, not \"a\""),
        ("auth:\n  keys:\n    - name: a", "a.yaml:3: auth.keys[0]: a key has a 'sha256'"),
        ("auth:\n  keys:\n    - sha256: '\(one)'", "a.yaml:3: auth.keys[0]: a key has a 'name'"),
        ("auth:\n  keys:\n    - name: a b\n      sha256: '\(one)'", "a.yaml:3: auth.keys[0].name: a name has up to 64 letters, digits and -_.@"),
        ("auth:\n  keys:\n    - name: a\n      sha256: 'my-secret-key'", "a.yaml:4: auth.keys[0].sha256: 64 hexadecimal digits between quotes are wanted, the SHA-256 of the key; `apus keys new` makes both"),
        ("auth:\n  keys:\n    - name: a\n      sha256: 12", "a.yaml:4: auth.keys[0].sha256: 64 hexadecimal digits between quotes are wanted, the SHA-256 of the key; `apus keys new` makes both"),
        ("auth:\n  keys:\n    - name: a\n      sha256: '\(one)'\n      scopes: []", "a.yaml:5: auth.keys[0].scopes: the list is empty; a key is good for at least one of infer, admin, metrics"),
        ("auth:\n  keys:\n    - name: a\n      sha256: '\(one)'\n      scopes: [infer, root]", "a.yaml:5: auth.keys[0].scopes[1]: \"root\" is none of infer, admin, metrics"),
        ("auth:\n  keys:\n    - name: a\n      sha256: '\(one)'\n      priority: urgent", "a.yaml:5: auth.keys[0].priority: \"urgent\" is none of high, medium, low"),
        ("auth:\n  keys:\n    - name: a\n      sha256: '\(one)'\n      requests_per_minute: 0", "a.yaml:5: auth.keys[0].requests_per_minute: 0 is outside 1 to 1000000000"),
        ("auth:\n  keys:\n    - name: a\n      sha256: '\(one)'\n      max_queue_seconds: -1", "a.yaml:5: auth.keys[0].max_queue_seconds: -1.0 is outside 0.001 to 86400.0"),
        ("auth:\n  keys:\n    - name: a\n      sha265: '\(one)'", "a.yaml:4: auth.keys[0].sha265: unknown key 'sha265': did you mean 'sha256'?|a.yaml:3: auth.keys[0]: a key has a 'sha256'"),
        ("auth:\n  keys:\n    - {name: a, sha256: '\(one)'}\n    - {name: a, sha256: '\(two)'}", "a.yaml:2: auth.keys: two keys are called 'a'"),
        ("auth:\n  keys:\n    - {name: a, sha256: '\(one)'}\n    - {name: b, sha256: '\(one.uppercased())'}", "a.yaml:2: auth.keys: 'a' and 'b' are the same key"),
        ("auth: {key: 1}", "a.yaml:1: auth.key: unknown key 'key': did you mean 'keys'?"),
    ])
    func `what a key cannot be is told with its place`(_ row: (text: String, problems: String)) {
        let found = problems(row.text)
        #expect(found.joined(separator: "|") == row.problems)
        // Somebody may have written the key where its digest belongs.
        #expect(!found.joined().contains("my-secret-key"))
    }

    @Test func `a file of keys is read after the others, and its problems are told with its name`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "keys.yaml")
        func write(_ text: String) throws { try Data(text.utf8).write(to: file) }
        let own = "auth:\n  keys: [{name: a, sha256: '\(Self.one)'}]\n  keys_file: \(file.path)\n"

        try write("keys:\n  - {name: b, sha256: '\(Self.two)'}\n")
        #expect(try load(own).keys.map(\.name) == ["a", "b"])
        #expect(try load("", environment: ["APUS_KEYS_FILE": file.path]).keys.map(\.name) == ["b"])

        try write("keys:\n  - {name: b}\n")
        #expect(problems(own) == ["\(file.path):2: keys[0]: a key has a 'sha256'"])
        try write("keys:\n  - {name: a, sha256: '\(Self.two)'}\n")
        #expect(problems(own) == ["a.yaml:3: auth.keys_file: two keys are called 'a'"])
        for text in ["", "keys: []", "kees: 1", "- a", "keys: 1", "keys: ["] {
            try write(text)
            #expect(problems(own).count == 1, "\(text)")
        }
        try FileManager.default.removeItem(at: file)
        #expect(problems(own).first?.hasPrefix("a.yaml:3: auth.keys_file: ") == true)
    }
}
