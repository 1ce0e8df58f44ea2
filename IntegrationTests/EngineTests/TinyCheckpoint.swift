import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusExecution
import ApusGraph
import ApusJSON
import ApusORT
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// A generated checkpoint of `Tests/Fixtures/tiny` with what PyTorch computes for it.
struct TinyCheckpoint: CustomTestStringConvertible {
    let name: String
    var testDescription: String { name }

    static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let fixtures = repository.appendingPathComponent("Tests/Fixtures/tiny")

    static let all: [TinyCheckpoint] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: fixtures.path)) ?? []
        return names.sorted().map(TinyCheckpoint.init(name:))
    }()

    /// Those whose network Apus writes itself.
    static let written = all.filter { !$0.name.hasPrefix("onnx") }

    var directory: String { Self.fixtures.appendingPathComponent(name).path }

    struct Golden {
        var sequences: [EncoderBatch.Sequence]
        var vectors: [[Float]]
    }

    private func document() throws -> JSONValue {
        try JSONValue(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/golden.json"))))
    }

    func texts() throws -> [String] {
        guard case .object(let object) = try document(), case .array(let texts)? = object["texts"] else { return [] }
        return texts.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }

    func golden() throws -> Golden {
        let document = try document()
        let ids: [[Int32]] = Self.rows(document, "input_ids") { if case .integer(let value) = $0 { Int32(value) } else { nil } }
        let vectors: [[Float]] = Self.rows(document, "embeddings") {
            switch $0 {
            case .integer(let value): Float(value)
            case .number(let value): Float(value)
            default: nil
            }
        }
        return Golden(
            sequences: ids.map { EncoderBatch.Sequence(ids: $0, typeIDs: [Int32](repeating: 0, count: $0.count)) },
            vectors: vectors)
    }

    private static func rows<Element>(
        _ document: JSONValue, _ key: String, _ element: (JSONValue) -> Element?
    ) -> [[Element]] {
        guard case .object(let object) = document, case .array(let rows)? = object[key] else { return [] }
        return rows.map { row in
            guard case .array(let values) = row else { return [] }
            return values.compactMap(element)
        }
    }
}

/// The engine of this repository's `.apus`.
enum TestEngine {
    static let library = TinyCheckpoint.repository.appendingPathComponent(".apus/engine/lib/libonnxruntime.so.1.31.1").path

    static func executor(lanes: Int = 2) throws -> InProcessExecutor {
        try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: lanes, engineLibrary: library), graphs: CheckpointGraphs())
    }
}

/// Lowest cosine and largest difference of `rows` to `expected`.
func agreement(_ rows: [Float], _ expected: [[Float]]) -> (cosine: Double, difference: Float) {
    var (lowest, largest) = (1.0, Float(0))
    var offset = 0
    for vector in expected {
        var (dot, aa, bb) = (0.0, 0.0, 0.0)
        for (index, value) in vector.enumerated() {
            guard offset + index < rows.count else { return (-1, .infinity) }
            let other = rows[offset + index]
            dot += Double(value) * Double(other)
            aa += Double(value) * Double(value)
            bb += Double(other) * Double(other)
            largest = max(largest, abs(value - other))
        }
        offset += vector.count
        let cosine = dot / (aa * bb).squareRoot()
        lowest = min(lowest, cosine.isNaN ? -1 : cosine)
    }
    return offset == rows.count ? (lowest, largest) : (-1, .infinity)
}
