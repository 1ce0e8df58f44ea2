import ApusErrors
import ApusJSON
import ApusService
import ArgumentParser
import Foundation

/// `apus keys`: what an operator needs to let clients in.
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Make API keys.", subcommands: [New.self, Digest.self])

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a random key, and what to put into the configuration for it.",
            discussion: "The key is shown once and stored nowhere; the configuration holds only its SHA-256.")

        @Argument(help: "Whose key it is: up to 64 letters, digits and -_.@.")
        var name: String

        @Option(help: "What it is good for: infer, admin, metrics. May be given several times. (default: infer)")
        var scope: [AccessKey.Scope] = []

        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            let isPlain = name.unicodeScalars.allSatisfy { $0.isASCII && ($0.properties.isAlphabetic || "0123456789-_.@".unicodeScalars.contains($0)) }
            guard !name.isEmpty, name.utf8.count <= 64, isPlain else {
                throw ValidationError("A name has up to 64 letters, digits and -_.@.")
            }
        }

        func run() throws {
            let key = Self.randomKey()
            let digest = AccessKey.sha256(of: key)
            let wanted: Set<AccessKey.Scope> = scope.isEmpty ? [.infer] : Set(scope)
            let scopes = AccessKey.Scope.allCases.filter(wanted.contains).map(\.rawValue)
            if json {
                var writer = JSONWriter()
                writer.beginObject()
                writer.member("name", name)
                writer.member("key", key)
                writer.member("sha256", digest)
                writer.key("scopes")
                writer.beginArray()
                for scope in scopes { writer.string(scope) }
                writer.endArray()
                writer.endObject()
                try Terminal.standardOutput(String(decoding: writer.bytes, as: UTF8.self) + "\n")
            } else {
                try Terminal.standardOutput(
                    """
                    Key, shown only now: \(key)

                    For the configuration:

                    auth:
                      keys:
                        - name: "\(name)"
                          sha256: "\(digest)"
                          scopes: [\(scopes.joined(separator: ", "))]

                    """)
            }
        }

        /// 256 random bits of the system's generator, in letters that no shell or header minds.
        private static func randomKey() -> String {
            var generator = SystemRandomNumberGenerator()
            let words = (0..<4).map { _ in generator.next() as UInt64 }
            return "apus-" + words.map { word in
                let digits = String(word, radix: 16)
                return String(repeating: "0", count: 16 - digits.utf8.count) + digits
            }.joined()
        }
    }

    struct Digest: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the SHA-256 of a key that there is already, read from standard input.",
            discussion: "The key is what the first line holds. It is not taken as an argument, where other users of the machine could see it.")

        func run() throws {
            guard let key = readLine(strippingNewline: true), !key.isEmpty else {
                throw ApusError(.emptyInput, "there is no key on standard input")
            }
            try Terminal.standardOutput(AccessKey.sha256(of: key) + "\n")
        }
    }
}

extension AccessKey.Scope: ExpressibleByArgument {}
