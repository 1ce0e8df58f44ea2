import ApusEmbeddings
import Crypto
import Foundation

/// Known answers on disk, one file for each set of weights and modules. Anything unreadable counts as absent: an answer can always be
/// computed again.
struct KnownAnswerStore: Sendable {
    /// Nil when no folder can be written: nothing is remembered then.
    let directory: String?

    /// Changes when the built-in sentences or the plain graph do.
    private static let version = 1

    func answer(_ key: Key) -> KnownAnswer? {
        guard let path = path(key), let data = FileManager.default.contents(atPath: path) else { return nil }
        let words = data.count / 4
        guard data.count % 4 == 0, words > 2 else { return nil }
        let values = data.withUnsafeBytes { bytes in
            (0..<words).map { UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)) }
        }
        let (rows, width) = (Int(values[0]), Int(values[1]))
        guard rows > 0, width > 0, rows <= words, width <= words, rows * width == words - 2 else { return nil }
        let floats = values.dropFirst(2).map { Float(bitPattern: $0) }
        return KnownAnswer(vectors: (0..<rows).map { Array(floats[($0 * width)..<(($0 + 1) * width)]) })
    }

    func store(_ answer: KnownAnswer, _ key: Key) {
        guard let path = path(key), let width = answer.vectors.first?.count else { return }
        let words = [UInt32(answer.vectors.count), UInt32(width)] + answer.vectors.joined().map(\.bitPattern)
        var data = Data(capacity: words.count * 4)
        for word in words { withUnsafeBytes(of: word.littleEndian) { data.append(contentsOf: $0) } }
        // A full disk costs only the time to compute the answer again.
        try? data.write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private func path(_ key: Key) -> String? {
        directory.map { "\($0)/\(key.weights)-\(key.files)-v\(Self.version).bin" }
    }

    /// What an answer depends on.
    struct Key: Sendable {
        /// SHA-256 of the weights.
        let weights: String
        /// SHA-256 of every JSON file that says how they are used: configuration, modules, tokenizer.
        let files: String

        init(weights: String, files: String) {
            self.weights = weights
            self.files = files
        }

        init(weights: String, directory: String) {
            self.weights = weights
            let names = (FileManager.default.subpaths(atPath: directory) ?? []).filter { name in
                guard name.hasSuffix(".json") else { return false }
                // Symbolic links are followed; what is no regular file in the end could block the reader.
                let path = URL(fileURLWithPath: "\(directory)/\(name)").resolvingSymlinksInPath().path
                let kind = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
                return kind == .typeRegular
            }
            var digest = SHA256()
            for name in names.sorted() {
                digest.update(data: Data("\(name)\0".utf8))
                digest.update(data: FileManager.default.contents(atPath: "\(directory)/\(name)") ?? Data())
            }
            files = digest.finalize().prefix(16).map { String(format: "%02x", $0) }.joined()
        }
    }
}
