import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Foundation
import Testing

/// The two sides of a region, here in one process.
@Suite struct SharedRegionTests {
    private func tensor(_ count: Int) -> HostTensor { HostTensor([count], .int32((0..<count).map { Int32($0) })) }

    @Test func whatOneSidePutsTheOtherReads() throws {
        var front = try SharedRegion.create(limit: 1 << 30)
        let worker = try SharedRegion.open(owning: dup(front.descriptor), limit: 1 << 30)
        let tensors = [tensor(5), tensor(0), HostTensor([2, 2], .float32([1, 2, 3, 4])), HostTensor([], .int64([-1]))]
        let placements = try front.place(tensors)
        for (tensor, placement) in zip(tensors, placements) {
            #expect(placement.offset % TensorPlacement.alignment == 0)
            #expect(worker.read(placement) == tensor)
        }
        for (left, right) in zip(placements, placements.dropFirst()) { #expect(left.end <= right.offset) }
    }

    @Test func eitherSideMakesItGrowAndTheOtherFollows() throws {
        var front = try SharedRegion.create(limit: 1 << 30)
        var worker = try SharedRegion.open(owning: dup(front.descriptor), limit: 1 << 30)
        for count in [200_000, 1_000_000, 3_000_000] {
            let large = tensor(count)
            let sent = try front.place([large])[0]
            #expect(worker.read(sent) == nil)
            #expect(try worker.reaches(sent.end))
            #expect(worker.read(sent) == large)
            let back = try worker.place([tensor(2 * count)])[0]
            #expect(try front.reaches(back.end))
            #expect(front.read(back) == tensor(2 * count))
        }
    }

    @Test func nothingIsReadThatTheFileDoesNotHold() throws {
        var front = try SharedRegion.create(limit: 1 << 30)
        let beyond = try #require(TensorPlacement(.float32, [1 << 20], offset: front.byteCount - 64))
        #expect(try !front.reaches(beyond.end))
        #expect(front.read(beyond) == nil)
    }

    @Test func theLimitHoldsForBothSidesHoweverLargeTheFileIs() throws {
        var front = try SharedRegion.create(limit: 1 << 20)
        #expect(ftruncate(front.descriptor, 1 << 30) == 0)
        let beyond = try #require(TensorPlacement(.uint8, [1], offset: 1 << 20))
        #expect(try !front.reaches(beyond.end))
        #expect(throws: ApusError.self) { try front.place([tensor(1 << 18), tensor(1)]) }
        let whole = try front.place([tensor(1 << 18)])
        #expect(front.byteCount == 1 << 20)
        #expect(front.read(whole[0]) == tensor(1 << 18))
    }

    #if os(Linux)
        @Test func neitherSideCanShrinkIt() throws {
            let front = try SharedRegion.create(limit: 1 << 30)
            #expect(ftruncate(front.descriptor, 0) != 0)
            #expect(errno == EPERM)
        }

        @Test func memoryGivenBackReadsAsZerosAndCanBeUsedAgain() throws {
            var front = try SharedRegion.create(limit: 1 << 30)
            let placement = try front.place([tensor(2_000_000)])[0]
            var before = stat()
            fstat(front.descriptor, &before)
            front.release()
            var after = stat()
            fstat(front.descriptor, &after)
            #expect(before.st_blocks >= 8_000_000 / 512)
            #expect(after.st_blocks == 0)
            #expect(front.read(placement) == HostTensor([2_000_000], .int32([Int32](repeating: 0, count: 2_000_000))))
            #expect(front.read(try front.place([tensor(3)])[0]) == tensor(3))
        }
    #endif

    @Test func shapesThatDoNotSayTheCountAreRefused() throws {
        var front = try SharedRegion.create(limit: 1 << 30)
        for shape in [[2], [-1], [.max, .max], []] {
            #expect(throws: ApusError.self) { try front.place([HostTensor(shape, .float32([1, 2, 3]))]) }
        }
    }
}
