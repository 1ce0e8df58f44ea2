import ApusErrors
import ApusVectors
import Testing

extension VectorTests {
    @Suite struct FilterTests {
        private let dimensions = 24

        /// What a search over everything finds, less what `isAllowed` refuses, is what a filtered search finds.
        private func expectFiltered(
            _ filter: RowFilter, rows: Int, deleted: Set<Int> = [], seed: UInt64, _ what: Comment, isAllowed: (Int) -> Bool
        ) async throws {
            var noise = Noise(seed)
            let set = try VectorSet(VectorFormat(dimensions: dimensions), blockCapacity: 150)
            _ = try set.append(noise.rows(rows, dimensions))
            let asked = try noise.rows(6, dimensions)
            let search = try CPUVectorSearch(threads: 2)
            let all = try await search.search(VectorQuery(asked, k: rows, metric: .dot), in: set.snapshot())
            #expect(set.delete(deleted) == deleted.count)
            #expect(set.snapshot().liveCount == rows - deleted.count)
            for queries in [1, 6] {
                let some = try VectorRows(Array(asked.values.prefix(queries * dimensions)), dimensions: dimensions)
                let found = try await search.search(VectorQuery(some, k: 7, metric: .dot, filter: filter), in: set.snapshot())
                #expect(
                    found == all.prefix(queries).map { Array($0.filter { isAllowed($0.row) && !deleted.contains($0.row) }.prefix(7)) }, what)
            }
        }

        @Test(arguments: [0, 1, 2, 10, 100, 400, 990, 1000])
        func allowedRowsAreFoundFromVerySparseToAll(members: Int) async throws {
            var noise = Noise(UInt64(members))
            let chosen = Array((0..<1000).shuffled(using: &noise).prefix(members)), set = Set(chosen)
            let deleted = Set((0..<1000).shuffled(using: &noise).prefix(300))
            let bits = RowSet(below: 1000) { set.contains($0) }
            for deleted in [[], deleted] {
                for rows in [try RowSet(chosen + chosen), bits] {
                    try await expectFiltered(.allowing(rows), rows: 1000, deleted: deleted, seed: 9, "allowing \(members)") { set.contains($0) }
                    try await expectFiltered(.excluding(rows), rows: 1000, deleted: deleted, seed: 9, "excluding \(members)") { !set.contains($0) }
                }
            }
        }

        @Test func rowsThatDoNotExistMatchNothing() async throws {
            let beyond = try RowSet([5, 1000, 1_000_000, Int.max])
            try await expectFiltered(.allowing(beyond), rows: 1000, seed: 1, "allowing") { $0 == 5 }
            try await expectFiltered(.excluding(beyond), rows: 1000, seed: 1, "excluding") { $0 != 5 }
        }

        @Test func bitsAreReadAtEveryOffset() async throws {
            var noise = Noise(4)
            let words = (0..<4).map { _ in noise.next() }
            // Blocks of 150 rows begin at every kind of bit.
            try await expectFiltered(.allowing(RowSet(bits: words)), rows: 700, seed: 2, "bits") {
                $0 < 256 && words[$0 / 64] >> UInt64($0 % 64) & 1 == 1
            }
        }

        @Test func aNegativeRowIsRefused() async {
            await expectError(.invalidValue) { _ = try RowSet([3, -1]) }
        }
    }
}
