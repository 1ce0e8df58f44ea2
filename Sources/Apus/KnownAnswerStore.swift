import ApusCheckpoint
import ApusEmbeddings
import Foundation

/// Known answers on disk, one file for each set of weights and modules. Anything unreadable counts as absent: an answer can always be
/// computed again.
struct KnownAnswerStore: Sendable {
    /// Nil when no folder can be written: nothing is remembered then.
    let directory: String?

    /// Changes when the built-in sentences or the plain graph do.
    private static let version = 1

    func answer(_ sha256: String, _ checkpoint: Checkpoint) -> KnownAnswer? {
        guard let path = path(sha256, checkpoint), let data = FileManager.default.contents(atPath: path) else { return nil }
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

    func store(_ answer: KnownAnswer, _ sha256: String, _ checkpoint: Checkpoint) {
        guard let path = path(sha256, checkpoint), let width = answer.vectors.first?.count else { return }
        let words = [UInt32(answer.vectors.count), UInt32(width)] + answer.vectors.joined().map(\.bitPattern)
        var data = Data(capacity: words.count * 4)
        for word in words { withUnsafeBytes(of: word.littleEndian) { data.append(contentsOf: $0) } }
        // A full disk costs only the time to compute the answer again.
        try? data.write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    private func path(_ sha256: String, _ checkpoint: Checkpoint) -> String? {
        directory.map { "\($0)/\(sha256)-\(checkpoint.answerKey)-v\(Self.version).bin" }
    }
}
