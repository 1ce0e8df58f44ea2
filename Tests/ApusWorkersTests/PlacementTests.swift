import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Testing

/// Where tensors lie, as it is told and as it is believed.
@Suite struct PlacementTests {
    private func decode(_ bytes: [UInt8]) throws(FrameFault) -> TensorPlacement {
        var reader = PayloadReader(bytes)
        let placement = try TensorPlacement(from: &reader)
        try reader.end()
        return placement
    }

    private func raw(_ type: UInt8, _ rank: UInt8, _ numbers: [UInt64]) -> [UInt8] {
        var bytes = [type, rank]
        for number in numbers { bytes.append(littleEndian: number) }
        return bytes
    }

    @Test func placementsComeBackAsTheyWent() throws {
        var random = SplitMix(seed: 3)
        for _ in 0..<500 {
            let shape = (0..<Int.random(in: 0...5, using: &random)).map { _ in Int.random(in: 0...40, using: &random) }
            let type = ElementType.allCases.randomElement(using: &random) ?? .float32
            let placement = try #require(TensorPlacement(type, shape, offset: 64 * Int.random(in: 0...1_000_000, using: &random)))
            var bytes: [UInt8] = []
            placement.encode(into: &bytes)
            #expect(try decode(bytes) == placement)
            for count in bytes.indices { #expect(throws: FrameFault.self) { try decode(Array(bytes.prefix(count))) } }
            #expect(throws: FrameFault.self) { try decode(bytes + [0]) }
        }
    }

    @Test func whatCannotBeIsMalformed() throws {
        #expect(try decode(raw(1, 1, [64, 16, 4])) == TensorPlacement(.float32, [4], offset: 64))
        let hostile: [[UInt8]] = [
            raw(0, 1, [0, 16, 4]), raw(8, 1, [0, 16, 4]), raw(255, 1, [0, 16, 4]),
            raw(1, 17, [0, 4] + [UInt64](repeating: 1, count: 17)), raw(1, 255, [0, 4]),
            raw(1, 1, [1, 16, 4]), raw(1, 1, [.max, 16, 4]), raw(1, 1, [1 << 63, 16, 4]), raw(1, 1, [(1 << 63) - 64, 1 << 20, 1 << 18]),
            raw(1, 1, [0, 15, 4]), raw(1, 1, [0, 17, 4]), raw(1, 1, [0, .max, 4]),
            raw(1, 1, [0, 0, .max]), raw(1, 2, [0, 0, 1 << 32, 1 << 32]), raw(1, 3, [0, 0, 1 << 33, 1 << 33, 0]),
            raw(7, 1, [0, 0, 1 << 61]),
        ]
        for bytes in hostile { #expect(throws: FrameFault.self) { try decode(bytes) } }
    }

    @Test func randomPayloadsAreRefusedOrLieWhereTheySay() {
        var random = SplitMix(seed: 5)
        for _ in 0..<20_000 {
            var bytes = raw(
                UInt8.random(in: 0...17, using: &random), UInt8.random(in: 0...4, using: &random),
                (0..<Int.random(in: 2...6, using: &random)).map { _ in
                    random.next() >> UInt64.random(in: 0...63, using: &random)
                })
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0...8, using: &random)) }
            guard let placement = try? decode(bytes) else { continue }
            #expect(placement.offset >= 0 && placement.byteCount >= 0 && placement.end == placement.offset + placement.byteCount)
            #expect(ElementCount.bytes(of: placement.shape, placement.elementType) == placement.byteCount)
        }
    }

    @Test func stepsComeBackAsTheyWent() throws {
        let tensor = try #require(TensorPlacement(.int64, [3, 5], offset: 128))
        for fault in StepFault.allCases + [StepFault?.none] {
            for memory in [WorkingMemory.kept, .released] {
                let step = StepRequest(
                    model: .max, output: 65_535, memory: memory, fault: fault,
                    inputs: (0..<StepRequest.inputLimit).map { StepRequest.Input(index: $0 * 7, tensor: tensor) })
                #expect(try StepRequest(decoding: try step.encoded()) == step)
            }
        }
        #expect(throws: FrameFault.self) { try StepRequest(model: 1, output: 65_536, memory: .kept, inputs: []).encoded() }
        #expect(throws: FrameFault.self) { try StepRequest(model: 1, output: -1, memory: .kept, inputs: []).encoded() }
    }

    @Test func damagedStepsAreRefusedOrWellFormed() throws {
        let tensor = try #require(TensorPlacement(.float32, [2], offset: 0))
        let step = StepRequest(model: 3, output: 0, memory: .kept, fault: .slow, inputs: [.init(index: 0, tensor: tensor)])
        let good = try step.encoded()
        for count in good.indices { #expect(throws: FrameFault.self) { try StepRequest(decoding: Array(good.prefix(count))) } }
        var random = SplitMix(seed: 17)
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let damaged = try? StepRequest(decoding: bytes) else { continue }
            #expect(try damaged.encoded() == bytes)
        }
    }
}
