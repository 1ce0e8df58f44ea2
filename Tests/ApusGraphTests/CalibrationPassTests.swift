import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor
import Foundation
import Testing

/// Linear layers in 4 bits that are rounded for what they see.
@Suite struct CalibrationPassTests {
    private static func model(_ name: String) throws -> (Checkpoint, EncoderConfiguration, WeightStore) {
        let checkpoint = try Checkpoint(directory: GraphFormTests.fixtures.appendingPathComponent(name).path)
        guard case .encoder(let encoder, let weights) = checkpoint.source else { throw ApusError(.unsupportedModel, "no encoder") }
        return (checkpoint, encoder, weights)
    }

    /// Every text of another length, every token from all over the vocabulary.
    private static func texts(_ encoder: EncoderConfiguration, count: Int = 60) -> [EncoderBatch.Sequence] {
        (0..<count).map { text in
            let length = 1 + text % min(20, encoder.longestSequence)
            return EncoderBatch.Sequence(
                ids: (0..<length).map { Int32((text * 131 + $0 * 29) % encoder.vocabularySize) }, typeIDs: [Int32](repeating: 0, count: length))
        }
    }

    @Test(arguments: GraphFormTests.names)
    func everyLinearLayerIsRoundedAndItsBiasMakesUpForTheMean(name: String) throws {
        let (checkpoint, encoder, weights) = try Self.model(name)
        var told: [Int] = []
        let texts = Self.texts(encoder)
        let blocks = try CalibrationPass(encoder, weights, texts: texts).blocks { done, _ in told.append(done) }
        #expect(blocks.count == 6 * encoder.layers && told == Array(1...encoder.layers))
        for (name, linear) in blocks {
            let matrix = try #require(try weights.matrix(name))
            #expect(linear.scales.count == matrix.rows * matrix.columns / BlockQuantization.blockSize)
            #expect(linear.nibbles.count == matrix.rows * matrix.columns / 2)
            let before = try #require(weights[name.dropLast("weight".count) + "bias"]).floats()
            let after = try #require(linear.bias)
            #expect(after.count == before.count && after != before && after.allSatisfy(\.isFinite))
        }
        let again = try CalibrationPass(encoder, weights, texts: texts).blocks { _, _ in }
        #expect(blocks.allSatisfy { again[$0.key]?.nibbles == $0.value.nibbles && again[$0.key]?.bias == $0.value.bias })

        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("calibrated-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try checkpoint.quantized(to: .int4, into: folder, calibrated: blocks) { _, _ in }
        let copy = try Checkpoint(directory: folder)
        #expect(copy.quantization == .int4)
        guard case .encoder(_, let written) = copy.source else { return }
        for (name, linear) in blocks {
            #expect(Array(try #require(written[name]).bytes) == linear.nibbles)
            #expect(try #require(written[name + ".scale"]).floats() == linear.scales)
            #expect(try #require(written[name.dropLast("weight".count) + "bias"]).floats() == linear.bias)
        }
    }

    @Test func textsWithoutTokensAndTokensOutsideTheVocabularyAreRefused() throws {
        let (_, encoder, weights) = try Self.model("bert-mean")
        func code(_ texts: [EncoderBatch.Sequence]) -> ApusError.Code? {
            do { _ = try CalibrationPass(encoder, weights, texts: texts).blocks { _, _ in } } catch { return error.code }
            return nil
        }
        #expect(code([]) == .invalidValue)
        #expect(code([.init(ids: [Int32(encoder.vocabularySize)], typeIDs: [0])]) == .invalidCheckpoint)
        #expect(code([.init(ids: [Int32](repeating: 1, count: encoder.longestSequence + 1), typeIDs: [])]) == .invalidValue)
    }
}
