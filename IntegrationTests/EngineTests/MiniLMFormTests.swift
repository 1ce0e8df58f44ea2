import ApusErrors
import ApusExecution
import ApusGraph
import ApusJSON
import ApusTensor
import Foundation
import Testing

/// The default model in every form, against the vectors that sentence-transformers gives for the same tokens.
@Suite(.serialized) struct MiniLMFormTests {
    static let directory = TinyCheckpoint.repository.appendingPathComponent(".apus/models/all-MiniLM-L6-v2").path
    private static let fixture = TinyCheckpoint.repository.appendingPathComponent("Tests/Fixtures/minilm")
    private static let width = 384

    /// Lowest and mean cosine that a form keeps over the fixture's 70 texts.
    private static let floors: [(form: NetworkForm, lowest: Double, mean: Double)] = [
        (.kernelsFP32, 0.999999, 0.999999), (.kernelsBF16, 0.9999, 0.99995), (.kernelsInt8, 0.993, 0.998), (.fusedInt8, 0.994, 0.9985),
        (.fusedInt4, 0.92, 0.96),
    ]

    @Test(arguments: floors)
    func everyFormKeepsTheAccuracyItStates(floor: (form: NetworkForm, lowest: Double, mean: Double)) async throws {
        let (sequences, expected) = try Self.golden()
        let rows = try await TestEngine.run(Self.directory, floor.form, stride(from: 0, to: sequences.count, by: 8).map {
            Array(sequences[$0..<min(sequences.count, $0 + 8)])
        })
        let cosines = expected.indices.map { index in
            agreement(Array(rows[(index * Self.width)..<((index + 1) * Self.width)]), [expected[index]]).cosine
        }
        let (lowest, mean) = (cosines.min() ?? 0, cosines.reduce(0, +) / Double(cosines.count))
        #expect(cosines.count == 70)
        #expect(lowest >= floor.lowest && mean >= floor.mean, "\(floor.form): lowest \(lowest), mean \(mean)")
    }

    static func golden() throws -> ([EncoderBatch.Sequence], [[Float]]) {
        let text = try Data(contentsOf: fixture.appendingPathComponent("texts.json"))
        guard case .object(let document) = try JSONValue(parsing: Array(text)), case .array(let rows)? = document["input_ids"] else {
            return ([], [])
        }
        let sequences = rows.map { row -> EncoderBatch.Sequence in
            guard case .array(let values) = row else { return EncoderBatch.Sequence(ids: [], typeIDs: []) }
            let ids = values.compactMap { if case .integer(let value) = $0 { Int32(value) } else { nil } }
            return EncoderBatch.Sequence(ids: ids, typeIDs: [Int32](repeating: 0, count: ids.count))
        }
        // The .npy format: 8 bytes of magic and version, a 16-bit length, a header of that length, then the elements.
        let bytes = Array(try Data(contentsOf: fixture.appendingPathComponent("embeddings.npy")))
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        let values = bytes[start...].withUnsafeBytes { raw in
            (0..<(raw.count / 4)).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        }
        return (sequences, stride(from: 0, to: values.count, by: width).map { Array(values[$0..<($0 + width)]) })
    }
}
