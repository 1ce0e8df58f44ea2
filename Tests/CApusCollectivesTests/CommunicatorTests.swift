import CApusCollectives
import Testing

@Suite("Ranks that add up", .timeLimit(.minutes(1))) struct CommunicatorTests {
    /// Numbers whose sum depends on the order in which they are added.
    private static func numbers(_ rank: Int, _ count: Int, round: Int = 0) -> [Float] {
        (0..<count).map { index in
            let mixed = UInt32(truncatingIfNeeded: index &* 2_654_435_761 &+ rank &* 40_503 &+ round &* 977)
            return (Float(mixed % 100_003) - 50_000) * (rank % 2 == 0 ? 1e-3 : 1e4)
        }
    }

    private static func expected(_ ranks: Int, _ count: Int, round: Int = 0) -> [Float] {
        (1..<max(1, ranks)).reduce(numbers(0, count, round: round)) { sums, rank in
            zip(sums, numbers(rank, count, round: round)).map(+)
        }
    }

    private static func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

    // Below, at and above where every rank adds up a part, and sizes that no number of ranks divides.
    @Test("all get the sum in the order of the ranks, to the bit, whoever comes first", arguments: [1, 2, 3, 4, 8], [0, 1, 17, 4096, 16_385, 100_003])
    func sums(ranks: Int, count: Int) throws {
        let group = try #require(Ranks(ranks))
        let outputs = group.each { rank in
            (0..<5).map { round in group.sum(rank, Self.numbers(rank, count, round: round)) }
        }
        for round in 0..<5 {
            let expected = Self.bits(Self.expected(ranks, count, round: round))
            for output in outputs {
                #expect(output[round].result == APUS_SUM_OK)
                #expect(Self.bits(output[round].output) == expected)
            }
        }
        #expect(outputs.count == ranks && group.reason == nil)
    }

    @Test("a sum may take the place of what was added", arguments: [64, 50_000])
    func inPlace(count: Int) throws {
        let group = try #require(Ranks(3))
        let outputs = group.each { rank in
            var values = Self.numbers(rank, count)
            let result = values.withUnsafeMutableBufferPointer { buffer -> apus_sum_result? in
                buffer.baseAddress.map { apus_communicator_sum(group.communicator, Int32(rank), $0, $0, count) }
            }
            return (result, values)
        }
        for (result, values) in outputs {
            #expect(result == APUS_SUM_OK)
            #expect(Self.bits(values) == Self.bits(Self.expected(3, count)))
        }
    }

    @Test("who waits is woken by an abort, and the first reason stays")
    func abort() throws {
        let group = try #require(Ranks(3))
        let results = group.each { rank in
            guard rank == 2 else { return group.sum(rank, [1, 2, 3]).result }
            group.abort("rank 2 is dead")
            group.abort("and so am I")
            return group.sum(rank, [1, 2, 3]).result
        }
        #expect(results == [APUS_SUM_ABORTED, APUS_SUM_ABORTED, APUS_SUM_ABORTED])
        #expect(group.reason == "rank 2 is dead")
    }

    @Test("different sizes are told to everybody")
    func mismatch() throws {
        let group = try #require(Ranks(3))
        let results = group.each { group.sum($0, Array(repeating: 1, count: $0 == 1 ? 7 : 8)).result }
        #expect(results == [APUS_SUM_MISMATCH, APUS_SUM_MISMATCH, APUS_SUM_MISMATCH])
        #expect(try #require(group.reason).contains(" 7"))
        #expect(group.sum(0, [1]).result == APUS_SUM_MISMATCH)
    }

    @Test("who does not come is named, and nobody waits for ever")
    func timeout() throws {
        let group = try #require(Ranks(4, timeout: 0.05))
        let results = group.each([0, 2]) { group.sum($0, [1]).result }
        #expect(results == [APUS_SUM_TIMEOUT, APUS_SUM_TIMEOUT])
        #expect(apus_communicator_missing(group.communicator) == 0b1010)
        #expect(group.reason == "within 0.05 s there came no rank 1 3")
        #expect(group.sum(1, [1]).result == APUS_SUM_TIMEOUT)
        #expect(apus_communicator_waited(group.communicator, 0) + apus_communicator_waited(group.communicator, 2) >= 50_000_000)
        #expect(apus_communicator_waited(group.communicator, 1) == 0)
    }

    @Test("a rank that there is not, or that is here already, ends it", arguments: [-1, 2, 0])
    func badRank(rank: Int) throws {
        let group = try #require(Ranks(2))
        let results = group.each([0, 1]) { group.sum($0 == 0 ? 0 : rank, [1]).result }
        #expect(results == [APUS_SUM_BAD_RANK, APUS_SUM_BAD_RANK])
        #expect(group.reason != nil)
    }

    @Test("there are 1 to 64 ranks")
    func limits() {
        #expect(Ranks(0) == nil && Ranks(-1) == nil && Ranks(65) == nil)
        #expect(Ranks(64) != nil)
    }

    @Test("a thread knows which rank of which communicator it is, until it is told otherwise")
    func membership() throws {
        let group = try #require(Ranks(2))
        let ranks = group.each { rank -> [Int32] in
            var seen: [Int32] = []
            var own: Int32 = -1
            if apus_thread_communicator(&own) == nil { seen.append(-1) }
            apus_thread_join(group.communicator, Int32(rank))
            if apus_thread_communicator(&own) == group.communicator { seen.append(own) }
            apus_thread_join(nil, 0)
            if apus_thread_communicator(&own) == nil { seen.append(-1) }
            return seen
        }
        #expect(ranks == [[-1, 0, -1], [-1, 1, -1]])
    }
}
