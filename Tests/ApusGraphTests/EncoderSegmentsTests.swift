import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor
import Foundation
import Testing

/// How networks are cut into segments, and batches into chunks.
@Suite struct EncoderSegmentsTests {
    private static func segments(_ name: String, count: Int) throws -> EncoderSegments {
        let directory = GraphFormTests.fixtures.appendingPathComponent(name).path
        return try EncoderSegments(try Checkpoint(directory: directory), .fusedFP32, count: count)
    }

    @Test(arguments: GraphFormTests.names)
    func everyLayerIsInOneSegment(name: String) throws {
        for count in [1, 2] {
            let cut = try Self.segments(name, count: count)
            #expect(cut.slices.map(\.layers) == (count == 1 ? [0..<2] : [0..<1, 1..<2]))
            #expect(cut.bytes.allSatisfy { $0 > 0 })
            for slice in cut.slices { #expect(!(try cut.graph(slice).graph.nodes.isEmpty)) }
        }
        #expect(try Self.segments(name, count: 2).bytes.reduce(0, +) == Self.segments(name, count: 1).bytes.reduce(0, +))
    }

    /// The heaviest range of the best cut, by trying all.
    private static func best(_ weights: ArraySlice<Int>, _ count: Int) -> Int {
        guard count > 1 else { return weights.reduce(0, +) }
        return (1...(weights.count - count + 1)).map { first in
            max(weights.prefix(first).reduce(0, +), best(weights.dropFirst(first), count - 1))
        }.min() ?? 0
    }

    @Test func theHeaviestSegmentIsAsLightAsCanBe() {
        #expect(EncoderSegments.cut([122] + [Int](repeating: 28, count: 11), into: 6).map(\.count).sorted() == [1, 2, 2, 2, 2, 3])
        var numbers = Numbers(seed: 7)
        for _ in 0..<500 {
            let weights = (0..<Int.random(in: 1...9, using: &numbers)).map { _ in Int.random(in: 0...50, using: &numbers) }
            for count in 1...weights.count {
                let ranges = EncoderSegments.cut(weights, into: count)
                #expect(ranges.count == count && ranges.allSatisfy { !$0.isEmpty })
                #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == weights.count)
                #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
                #expect(ranges.map { weights[$0].reduce(0, +) }.max() == Self.best(weights[...], count), "\(weights) \(count)")
            }
        }
    }

    @Test func numbersOfSegmentsThatDoNotWorkAreRefused() throws {
        for count in [0, -1, 3, .max] {
            #expect { _ = try Self.segments("bert-mean", count: count) } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        }
        let file = try Checkpoint(directory: GraphFormTests.fixtures.appendingPathComponent("onnx-bert").path)
        #expect { _ = try EncoderSegments(file, .fusedFP32, count: 1) } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        for (count, tokens) in [(0, 1), (1, 0), (-3, 5)] {
            #expect { _ = try Segmentation(count: count, chunkTokens: tokens) } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        }
    }

    /// The inputs of a batch of sequences with these lengths; ids count up, so that every token has a number of its own.
    private static func batch(_ lengths: [Int], _ inputs: [ValueDescription]) -> [String: HostTensor] {
        var first: Int32 = 0
        let sequences = lengths.map { length in
            defer { first += Int32(length) }
            return EncoderBatch.Sequence(ids: Array(first..<(first + Int32(length))), typeIDs: [Int32](repeating: 1, count: length))
        }
        return EncoderBatch(sequences).tensors(for: inputs, EncoderConventions())
    }

    @Test func chunksAreWholeSequencesInTheirOrder() throws {
        let cut = try Self.segments("bert-mean", count: 2)
        let lengths = [3, 5, 1, 1, 9, 2, 4]
        let ids = [ValueDescription("input_ids", .int32, []), ValueDescription("starts", .int32, []), ValueDescription("token_type_ids", .int32, [])]
        for (limit, expected) in [(1, [1, 1, 1, 1, 1, 1, 1]), (10, [2, 2, 1, 2]), (8, [1, 1, 2, 1, 2]), (1_000, [7])] {
            let chunks = try cut.chunks(of: Self.batch(lengths, cut.inputs), atMost: limit)
            #expect(chunks.map(\.sequences) == expected, "\(limit)")
            var tokens: [Int32] = []
            for chunk in chunks {
                let tensors = chunk.tensors(for: ids)
                guard case .int32(let part)? = tensors["input_ids"]?.elements, case .int32(let starts)? = tensors["starts"]?.elements else { continue }
                tokens += part
                #expect(starts.count == chunk.sequences + 1 && starts.first == 0 && starts.last == Int32(part.count))
                #expect(tensors["token_type_ids"]?.elements == .int32([Int32](repeating: 1, count: part.count)))
            }
            #expect(tokens == Array(0..<Int32(lengths.reduce(0, +))))
        }
    }

    @Test func tensorsThatAreNoBatchAreRefused() throws {
        let cut = try Self.segments("bert-mean", count: 2)
        let sound = Self.batch([2, 3], cut.inputs)
        let wrong: [(String, HostTensor?)] = [
            ("input_ids", nil), ("starts", nil), ("starts", HostTensor([3], .int32([0, 2, 6]))), ("starts", HostTensor([3], .int32([0, 5, 5]))),
            ("starts", HostTensor([2], .int32([1, 5]))), ("starts", HostTensor([0], .int32([]))), ("starts", HostTensor([3], .int64([0, 2, 5]))),
            ("starts", HostTensor([3], .int32([0, -2, 5]))), ("token_type_ids", HostTensor([1, 1], .int32([0]))),
        ]
        for (name, tensor) in wrong {
            var tensors = sound
            tensors[name] = tensor
            #expect { _ = try cut.chunks(of: tensors, atMost: 8) } throws: { ($0 as? ApusError)?.code == .engineFailure }
        }
    }
}

/// Reproducible numbers: Knuth's MMIX generator, whose upper bits are the good ones.
private struct Numbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 32) | (state << 32)
    }
}
