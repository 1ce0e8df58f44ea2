import ApusExecution
import ApusGraph
import ApusJSON
import Foundation
import Testing

/// A generated sequence classifier of `Tests/Fixtures/classifiers` with what PyTorch, CrossEncoder and transformers' pipeline compute for it.
struct TinyClassifier: CustomTestStringConvertible {
    let name: String
    var testDescription: String { name }

    static let fixtures = TinyCheckpoint.repository.appendingPathComponent("Tests/Fixtures/classifiers")

    static let all: [TinyClassifier] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: fixtures.path)) ?? []
        return names.sorted().map(TinyClassifier.init(name:))
    }()

    /// Those whose network Apus writes itself.
    static let written = all.filter { !$0.name.hasPrefix("onnx") }
    static let rerankers = all.filter { $0.name.contains("rerank") }
    static let classifiers = all.filter { !$0.name.contains("rerank") }

    var directory: String { Self.fixtures.appendingPathComponent(name).path }

    struct Golden {
        var labels: [String]
        var texts: [String]
        var textLogits: [[Float]]
        var textScores: [[Float]]
        var pairs: [(String, String)]
        var pairLogits: [[Float]]
        var pairScores: [[Float]]
        /// Texts, then pairs, as token ids and types.
        var sequences: [EncoderBatch.Sequence]
        var maxTokens: Int

        /// Texts, then pairs.
        var logits: [[Float]] { textLogits + pairLogits }
    }

    func golden() throws -> Golden {
        let reader = try JSONReader(try JSONValue(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/golden.json")))))
        func rows<Element>(_ key: String, _ element: (JSONValue) throws -> Element) throws -> [[Element]] {
            try reader.array(key).map { try $0.arrayValue(at: key).map(element) }
        }
        func numbers(_ key: String) throws -> [[Float]] { try rows(key) { Float(try $0.numberValue(at: key)) } }
        func integers(_ key: String) throws -> [[Int32]] { try rows(key) { Int32(try $0.integerValue(at: key)) } }
        func strings(_ key: String) throws -> [String] { try reader.array(key).map { try $0.stringValue(at: key) } }
        let pairs = try rows("pairs") { try $0.stringValue(at: "pairs") }
        let texts = try integers("text_ids").map { EncoderBatch.Sequence(ids: $0, typeIDs: [Int32](repeating: 0, count: $0.count)) }
        let together = zip(try integers("pair_ids"), try integers("pair_types")).map { EncoderBatch.Sequence(ids: $0, typeIDs: $1) }
        return Golden(
            labels: try strings("labels"), texts: try strings("texts"), textLogits: try numbers("text_logits"),
            textScores: try numbers("text_scores"), pairs: pairs.map { ($0[0], $0[1]) }, pairLogits: try numbers("pair_logits"),
            pairScores: try numbers("pair_scores"), sequences: texts + together, maxTokens: try reader.integer("max_tokens"))
    }
}

/// The largest difference of two lists of rows; infinite where their shapes differ.
func largestDifference(_ rows: [[Float]], _ expected: [[Float]]) -> Float {
    guard rows.count == expected.count, zip(rows, expected).allSatisfy({ $0.count == $1.count }) else { return .infinity }
    return zip(rows.joined(), expected.joined()).reduce(0) { max($0, abs($1.0 - $1.1)) }
}
