import ApusErrors
import ApusVectors
import Testing

extension VectorTests {
    @Suite struct VectorSetTests {
        private func nearest(_ vector: [Float], _ set: VectorSet, k: Int = 1) async throws -> [Int] {
            let query = try VectorQuery(VectorRows(vector, dimensions: vector.count), k: k, metric: .l2)
            return try await CPUVectorSearch(threads: 1).search(query, in: set.snapshot())[0].map(\.row)
        }

        @Test func rowsAreNumberedInTheOrderTheyCameAndUpdatesTakeANewNumber() async throws {
            let set = try VectorSet(VectorFormat(dimensions: 2), blockCapacity: 3)
            #expect(try set.append(VectorRows([[0, 0], [1, 0]])) == 0..<2)
            #expect(try set.append(VectorRows([[2, 0], [3, 0], [4, 0], [5, 0], [6, 0]])) == 2..<7)
            #expect(try set.append(VectorRows([], dimensions: 2)) == 7..<7)
            #expect(try await nearest([3, 0], set) == [3])
            #expect(try set.update(3, to: [30, 0]) == 7)
            #expect(set.snapshot().rowCount == 8 && set.snapshot().liveCount == 7)
            #expect(try await nearest([30, 0], set) == [7])
            #expect(!set.snapshot().isLive(3) && set.snapshot().isLive(7) && !set.snapshot().isLive(8) && !set.snapshot().isLive(-1))
            await expectError(.notFound) { _ = try set.update(3, to: [1, 1]) }
            await expectError(.notFound) { _ = try set.update(99, to: [1, 1]) }
            #expect(set.delete([0, 0, 6, -4, 1234]) == 2)
            #expect(Set(try await nearest([0, 0], set, k: 100)) == [1, 2, 4, 5, 7])
        }

        @Test func aSnapshotKeepsWhatItSaw() async throws {
            let set = try VectorSet(VectorFormat(dimensions: 1), blockCapacity: 4)
            _ = try set.append(VectorRows([[0], [1], [2], [3], [4]]))
            let before = set.snapshot()
            set.delete([1, 4])
            _ = try set.update(2, to: [20])
            let search = try CPUVectorSearch(threads: 1)
            let query = try VectorQuery(VectorRows([[1]]), k: 10, metric: .l2)
            #expect(try await search.search(query, in: before)[0].map(\.row) == [1, 0, 2, 3, 4])
            #expect(try await search.search(query, in: set.snapshot())[0].map(\.row) == [0, 3, 5])
        }

        @Test(arguments: VectorStorage.allCases)
        func vectorsAreGivenBackAsTheyCameWhereTheyAreKept(storage: VectorStorage) throws {
            var noise = Noise(8)
            let vectors = try noise.rows(30, 37)
            for keeps in [true, false] {
                let set = try VectorSet(VectorFormat(dimensions: 37, storage: storage, keepsExactRows: keeps), blockCapacity: 7)
                _ = try set.append(vectors)
                set.delete([4])
                let snapshot = set.snapshot()
                for row in 0..<30 {
                    let isKept = row != 4 && (keeps || storage == .fp32)
                    #expect(snapshot.vector(of: row) == (isKept ? vectors.row(row) : nil))
                }
                #expect(snapshot.vector(of: 30) == nil && snapshot.vector(of: -1) == nil)
            }
        }

        @Test(arguments: VectorStorage.allCases)
        func onlyTheBytesOfARowChangeWhenItIsWritten(storage: VectorStorage) throws {
            let format = try VectorFormat(dimensions: 20, storage: storage)
            let file = try MappedFile(bytes: format.blockBytes(capacity: 50))
            let block = try VectorBlock(format, capacity: 50, mapped: file.memory, .readWrite, owner: file)
            let set = try VectorSet(format)
            _ = try set.adopt(block, count: 0)
            var noise = Noise(1)
            _ = try set.append(noise.rows(10, 20))
            let before = Array(file.memory)
            _ = try set.append(noise.rows(3, 20))
            let changed = file.memory.indices.filter { file.memory[$0] != before[$0] }
            let ranges = block.byteRanges(of: 10..<13)
            #expect(!changed.isEmpty && changed.allSatisfy { byte in ranges.contains { $0.contains(byte) } })
            #expect(ranges.allSatisfy { range in changed.contains { range.contains($0) } })
            #expect(ranges.reduce(0) { $0 + $1.count } == 3 * format.bytesPerRow)
            #expect(block.byteRanges(of: 0..<51) == [] && block.byteRanges(of: -1..<3) == [] && block.byteRanges(of: 5..<5) == [])
        }

        @Test func whatCannotBeStoredIsRefusedWholeAndNamed() async throws {
            let set = try VectorSet(VectorFormat(dimensions: 2))
            for bad: [Float] in [[.nan, 0], [0, .infinity], [-.infinity, 1], [1e19, 0]] {
                do {
                    _ = try set.append(VectorRows([[1, 1], bad]))
                    Issue.record("\(bad) was stored")
                } catch {
                    #expect(error.code == .invalidValue && error.place == "vectors[1]", "\(error)")
                }
            }
            await expectError(.invalidValue) { _ = try set.append(VectorRows([[1, 2, 3]])) }
            await expectError(.invalidValue) { _ = try set.update(0, to: [1]) }
            await expectError(.invalidValue) { _ = try VectorRows([[1, 2], [1]]) }
            await expectError(.invalidValue) { _ = try VectorRows([1, 2, 3], dimensions: 2) }
            await expectError(.invalidValue) { _ = try VectorRows([], dimensions: 0) }
            await expectError(.invalidValue) { _ = try VectorRows([], dimensions: 1 << 40) }
            #expect(set.snapshot().rowCount == 0)
            let halves = try VectorSet(VectorFormat(dimensions: 1, storage: .fp16))
            _ = try halves.append(VectorRows([[65_519]]))
            await expectError(.invalidValue) { _ = try halves.append(VectorRows([[65_520]])) }
        }

        @Test func sizesThatOverflowAreRefused() async throws {
            await expectError(.invalidValue) { _ = try VectorFormat(dimensions: 0) }
            await expectError(.invalidValue) { _ = try VectorFormat(dimensions: 65_537) }
            let format = try VectorFormat(dimensions: 65_536)
            await expectError(.invalidValue) { _ = try format.blockBytes(capacity: 0) }
            await expectError(.invalidValue) { _ = try format.blockBytes(capacity: .max) }
            await expectError(.invalidValue) { _ = try VectorSet(format, blockCapacity: -1) }
            #expect(try format.blockBytes(capacity: 2) == 2 * 262_144 + 64)
        }

        @Test(arguments: VectorStorage.allCases)
        func aMappedBlockIsSearchedAndFilledAndAReadOnlyOneIsNotWrittenTo(storage: VectorStorage) async throws {
            var noise = Noise(1)
            let format = try VectorFormat(dimensions: 20, storage: storage)
            let file = try MappedFile(bytes: format.blockBytes(capacity: 50))
            let vectors = try noise.rows(40, 20), more = try noise.rows(30, 20)
            let writing = try VectorSet(format)
            _ = try writing.adopt(VectorBlock(format, capacity: 50, mapped: file.memory, .readWrite, owner: file), count: 0)
            #expect(try writing.append(vectors) == 0..<40)

            // The same bytes, as another process would find them.
            let bytes = Array(file.memory)
            let copy = try MappedFile(bytes: bytes.count)
            copy.memory.copyBytes(from: bytes)
            let reading = try VectorSet(format)
            #expect(try reading.adopt(VectorBlock(format, capacity: 50, mapped: copy.memory, .readOnly, owner: copy), count: 40) == 0..<40)
            #expect(try reading.append(more) == 40..<70)
            #expect(Array(copy.memory) == bytes)

            let fresh = try VectorSet(format)
            _ = try fresh.append(vectors)
            _ = try fresh.append(more)
            let search = try CPUVectorSearch(threads: 2)
            let query = VectorQuery(try noise.rows(5, 20), k: 70)
            #expect(try await search.search(query, in: reading.snapshot()) == search.search(query, in: fresh.snapshot()))

            await expectError(.invalidValue) {
                _ = try VectorBlock(format, capacity: 51, mapped: file.memory, .readWrite, owner: file)
            }
            await expectError(.invalidValue) {
                let shifted = UnsafeMutableRawBufferPointer(rebasing: file.memory[4...])
                _ = try VectorBlock(format, capacity: 10, mapped: shifted, .readWrite, owner: file)
            }
            let block = try VectorBlock(format, capacity: 10)
            await expectError(.invalidValue) { _ = try fresh.adopt(block, count: 11) }
            await expectError(.invalidValue) { _ = try VectorSet(VectorFormat(dimensions: 21)).adopt(block, count: 1) }
        }

        @Test func searchesWhileRowsAreWrittenNeverSeeHalfAVector() async throws {
            // Row r is (r, r, …, r): a torn or missing one would not be found at distance 0.
            let dimensions = 64
            let set = try VectorSet(VectorFormat(dimensions: dimensions), blockCapacity: 100)
            let search = try CPUVectorSearch(threads: 2)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for row in 0..<3000 {
                        _ = try set.append(VectorRows([Float](repeating: Float(row), count: dimensions), dimensions: dimensions))
                        if row % 7 == 6 { set.delete([row - 3]) }
                        await Task.yield()
                    }
                }
                for reader in 0..<2 {
                    group.addTask {
                        var noise = Noise(UInt64(reader))
                        while true {
                            // Writer and readers take turns, however few threads there are.
                            await Task.yield()
                            let snapshot = set.snapshot()
                            guard snapshot.rowCount > 0 else { continue }
                            let row = Int.random(in: 0..<snapshot.rowCount, using: &noise)
                            let vector = [Float](repeating: Float(row), count: dimensions)
                            let query = try VectorQuery(VectorRows(vector, dimensions: dimensions), k: 1, metric: .l2)
                            let hit = try await search.search(query, in: snapshot)[0].first
                            if snapshot.isLive(row) { #expect(hit == Hit(row: row, score: 0)) } else { #expect(hit?.row != row) }
                            if snapshot.rowCount == 3000 { return }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}

/// Memory that stands for a mapped file: page-aligned.
private final class MappedFile: @unchecked Sendable {
    let memory: UnsafeMutableRawBufferPointer

    init(bytes: Int) throws {
        memory = .allocate(byteCount: bytes, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { memory.deallocate() }
}
