import ApusVectors
import Testing

extension VectorTests {
    /// Scores and choices against brute force in float64.
    @Suite struct ScanTests {
        /// Every score (k = all rows) is right, sorted, and each row is there once; the k best are its beginning.
        private func expectRight(
            rows: Int, dimensions: Int, queries: Int, _ metric: VectorMetric, _ storage: VectorStorage, seed: UInt64
        ) async throws {
            var noise = Noise(seed)
            let vectors = try noise.rows(rows, dimensions), asked = try noise.rows(queries, dimensions)
            let set = try VectorSet(
                VectorFormat(dimensions: dimensions, storage: storage, keepsExactRows: false), blockCapacity: max(1, rows * 2 / 3))
            #expect(try set.append(vectors) == 0..<rows)
            let search = try CPUVectorSearch(threads: 2)
            let tolerance = Reference.tolerance(dimensions, metric, storage)
            for level in featureLevels {
                try await withFeatures(level) {
                    let all = try await search.search(VectorQuery(asked, k: rows, metric: metric), in: set.snapshot())
                    #expect(all.count == queries)
                    for (query, hits) in all.enumerated() {
                        #expect(hits.map(\.row).sorted() == Array(0..<rows))
                        for hit in hits {
                            let expected = Reference.score(asked.row(query), vectors.row(hit.row), metric, storage)
                            #expect(
                                abs(Double(hit.score) - expected) <= tolerance,
                                "\(metric) \(storage) \(dimensions) dimensions, row \(hit.row), features \(level)")
                        }
                        for (one, next) in zip(hits, hits.dropFirst()) {
                            #expect(one.score > next.score || (one.score == next.score && one.row < next.row))
                        }
                    }
                    let k = max(1, rows / 3)
                    let best = try await search.search(VectorQuery(asked, k: k, metric: metric), in: set.snapshot())
                    #expect(best == all.map { Array($0.prefix(k)) })
                }
            }
        }

        @Test(arguments: Array(1...130) + [255, 256, 257, 384, 1000, 1024, 4099])
        func everyNumberOfDimensionsMatchesFloat64(dimensions: Int) async throws {
            let storage = VectorStorage.allCases[dimensions % 4]
            for metric in VectorMetric.allCases {
                for queries in [1, 2, 5] {
                    try await expectRight(rows: 7, dimensions: dimensions, queries: queries, metric, storage, seed: UInt64(dimensions))
                    try await expectRight(rows: 7, dimensions: dimensions, queries: queries, metric, .fp32, seed: UInt64(dimensions))
                }
            }
        }

        @Test(arguments: [1, 2, 3, 5, 6, 7, 8, 9, 23, 24, 25, 47, 95, 96, 97, 131, 193])
        func everyNumberOfRowsMatchesFloat64(rows: Int) async throws {
            for storage in VectorStorage.allCases {
                for metric in VectorMetric.allCases {
                    for queries in [1, 3, 4, 9] {
                        try await expectRight(rows: rows, dimensions: 40, queries: queries, metric, storage, seed: UInt64(rows))
                    }
                }
            }
        }

        @Test(arguments: 0..<60)
        func randomShapesMatchFloat64(seed: Int) async throws {
            var noise = Noise(UInt64(seed) + 1000)
            let rows = Int.random(in: 1...400, using: &noise), dimensions = Int.random(in: 1...300, using: &noise)
            let queries = Int.random(in: 1...20, using: &noise)
            let metric = VectorMetric.allCases.randomElement(using: &noise) ?? .dot
            let storage = VectorStorage.allCases.randomElement(using: &noise) ?? .fp32
            try await expectRight(rows: rows, dimensions: dimensions, queries: queries, metric, storage, seed: UInt64(seed))
        }

        @Test func rowsOfEqualScoreComeInTheOrderOfTheirNumbers() async throws {
            var noise = Noise(5)
            let kinds = try noise.rows(3, 48)
            // Row i is a copy of kind i % 3, in blocks of 37.
            let set = try VectorSet(VectorFormat(dimensions: 48), blockCapacity: 37)
            let values = (0..<500).flatMap { kinds.row($0 % 3) }
            _ = try set.append(VectorRows(values, dimensions: 48))
            for level in featureLevels {
                try await withFeatures(level) {
                    for threads in [1, 2, 4] {
                        for queries in [1, 3, 8] {
                            let asked = try VectorRows((0..<queries).flatMap { kinds.row($0 % 3) }, dimensions: 48)
                            let found = try await CPUVectorSearch(threads: threads).search(VectorQuery(asked, k: 20, metric: .l2), in: set.snapshot())
                            for (query, hits) in found.enumerated() {
                                #expect(hits.map(\.row) == (0..<20).map { $0 * 3 + query % 3 })
                                #expect(hits.allSatisfy { $0.score == 0 })
                            }
                        }
                    }
                }
            }
        }

        @Test func aScoreHasTheSameBitsAloneInABatchAndHoweverRowsAreSpread() async throws {
            var noise = Noise(77)
            let vectors = try noise.rows(3000, 200), asked = try noise.rows(11, 200)
            for storage in VectorStorage.allCases {
                for metric in VectorMetric.allCases {
                    let query = VectorQuery(asked, k: 50, metric: metric)
                    var first: [[Hit]]?
                    for (capacity, threads) in [(3000, 1), (3000, 2), (701, 3), (64, 5)] {
                        let set = try VectorSet(VectorFormat(dimensions: 200, storage: storage), blockCapacity: capacity)
                        _ = try set.append(vectors)
                        let search = try CPUVectorSearch(threads: threads)
                        let together = try await search.search(query, in: set.snapshot())
                        var alone: [[Hit]] = []
                        for row in 0..<asked.count {
                            let one = try VectorRows(asked.row(row), dimensions: 200)
                            alone += try await search.search(VectorQuery(one, k: 50, metric: metric), in: set.snapshot())
                        }
                        #expect(alone == together)
                        #expect(together == (first ?? together))
                        first = together
                    }
                }
            }
        }

        @Test func quantisedScansAreScoredAgainByTheExactRows() async throws {
            var noise = Noise(3)
            let vectors = try noise.rows(4000, 96), asked = try noise.rows(30, 96)
            let exact = try VectorSet(VectorFormat(dimensions: 96))
            _ = try exact.append(vectors)
            let search = try CPUVectorSearch(threads: 2)
            for storage in VectorStorage.allCases.dropFirst() {
                for metric in VectorMetric.allCases {
                    let query = VectorQuery(asked, k: 10, metric: metric)
                    let truth = try await search.search(query, in: exact.snapshot())
                    let set = try VectorSet(VectorFormat(dimensions: 96, storage: storage), blockCapacity: 999)
                    _ = try set.append(vectors)
                    let found = try await search.search(query, in: set.snapshot())
                    let recalled = zip(truth, found).reduce(0) { $0 + Set($1.0.map(\.row)).intersection($1.1.map(\.row)).count }
                    #expect(recalled >= 298, "\(storage) \(metric)")
                    // What both found has the exact score's bits.
                    for (expected, hits) in zip(truth, found) {
                        let scores = Dictionary(uniqueKeysWithValues: expected.map { ($0.row, $0.score) })
                        for hit in hits { #expect(scores[hit.row] ?? hit.score == hit.score) }
                    }
                }
            }
        }

        @Test func zerosHaveNoCosineAndTinyAndLongVectorsNoOverflow() async throws {
            let rows = try VectorRows([0, 0, 0, 1e-30, 1e-30, 0, 6e18, 6e18, 0, -6e18, 6e18, 0], dimensions: 3)
            let set = try VectorSet(VectorFormat(dimensions: 3))
            _ = try set.append(rows)
            let search = try CPUVectorSearch(threads: 1)
            let asked = try VectorRows([6e18, 6e18, 0, 0, 0, 0], dimensions: 3)
            for level in featureLevels {
                try await withFeatures(level) {
                    for metric in VectorMetric.allCases {
                        let found = try await search.search(VectorQuery(asked, k: 4, metric: metric), in: set.snapshot())
                        #expect(found.allSatisfy { $0.count == 4 && $0.allSatisfy(\.score.isFinite) }, "\(metric)")
                    }
                    let cosine = try await search.search(VectorQuery(asked, k: 4, metric: .cosine), in: set.snapshot())
                    #expect(cosine[1].map(\.score) == [0, 0, 0, 0])
                    #expect(cosine[0].first { $0.row == 0 }?.score == 0)
                    #expect(cosine[0].filter { $0.row == 1 || $0.row == 2 }.allSatisfy { abs($0.score - 1) < 1e-6 })
                }
            }
        }
    }
}
