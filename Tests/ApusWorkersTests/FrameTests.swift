import ApusExecution
import ApusTensor
import ApusWorkers
import Testing

/// The codec against itself and against whatever bytes a broken worker may send.
@Suite struct FrameTests {
    private func decode(_ bytes: [UInt8], piece: Int) throws(FrameFault) -> [Frame] {
        var decoder = FrameDecoder()
        var frames: [Frame] = []
        var rest = bytes[...]
        while true {
            while let frame = try decoder.next() { frames.append(frame) }
            if rest.isEmpty { return frames }
            let taken = decoder.fill { room in
                let count = min(piece, room.count, rest.count)
                room.copyBytes(from: rest.prefix(count))
                return count
            }
            rest = rest.dropFirst(taken)
        }
    }

    @Test(arguments: [1, 7, 24, 25, 4096, 1 << 21])
    func framesComeOutAsTheyWentInHoweverTheStreamIsCut(piece: Int) throws {
        var random = SplitMix(seed: 7)
        var frames: [Frame] = []
        for size in [0, 1, 23, 24, 25, 4_095, 4_096, 16_384, 70_000, 3] {
            let kind = Frame.Kind.allCases.randomElement(using: &random) ?? .ping
            frames.append(Frame(kind, sequence: random.next(), payload: (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }))
        }
        frames.append(Frame(.result, sequence: .max, payload: [UInt8](repeating: 9, count: FrameHeader.payloadLimit)))
        #expect(try decode(try frames.flatMap { try $0.encoded() }, piece: piece) == frames)
    }

    @Test func payloadsAboveTheLimitAreNotSent() {
        let frame = Frame(.step, sequence: 1, payload: [UInt8](repeating: 0, count: FrameHeader.payloadLimit + 1))
        #expect(throws: FrameFault.self) { try frame.encoded() }
    }

    @Test func headersWithAnythingUnknownAreMalformed() throws {
        let good = try Frame(.ping, sequence: 5).encoded()
        #expect(try decode(good, piece: 99).count == 1)
        for offset in good.indices where !(8..<16).contains(offset) {
            for bit in 0..<8 {
                var bytes = good
                bytes[offset] ^= 1 << bit
                guard let frames = try? decode(bytes, piece: 99) else { continue }
                // What still passes is another kind that exists, or a length whose payload has not come.
                #expect(offset == 4 ? frames.count == 1 : (16..<20).contains(offset) && frames.isEmpty)
            }
        }
    }

    @Test func aLengthBeyondTheLimitIsRefusedBeforeAnyPayloadArrives() throws {
        var bytes = try Frame(.ping, sequence: 5).encoded()
        bytes.replaceSubrange(16..<20, with: [1, 0, 16, 0])
        #expect(throws: FrameFault.malformed("a payload of 1048577 bytes")) { try decode(bytes, piece: 99) }
        bytes.replaceSubrange(16..<20, with: [255, 255, 255, 255])
        #expect(throws: FrameFault.malformed("a payload of 4294967295 bytes")) { try decode(bytes, piece: 99) }
    }

    @Test func randomBytesNeverComeOutAsFrames() {
        var random = SplitMix(seed: 11)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 24...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(throws: FrameFault.self) { try decode(bytes, piece: 64) }
        }
    }
}
