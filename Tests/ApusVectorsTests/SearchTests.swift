import ApusErrors
import ApusVectors
import CApusKernels
import Testing

extension VectorTests {
    @Suite struct SearchTests {
        @Test func wrongRequestsGetAnErrorAndEmptySetsNothing() async throws {
            let search = try CPUVectorSearch(threads: 1)
            let set = try VectorSet(VectorFormat(dimensions: 2))
            let asked = try VectorRows([[1, 0], [0, 1]])
            #expect(try await search.search(VectorQuery(asked, k: 3), in: set.snapshot()) == [[], []])
            _ = try set.append(VectorRows([[1, 2]]))
            #expect(try await search.search(VectorQuery(asked, k: 3), in: set.snapshot()).map(\.count) == [1, 1])
            #expect(try await search.search(VectorQuery(VectorRows([], dimensions: 2), k: 3), in: set.snapshot()) == [])
            for k in [0, -1, .min, 10_001, .max] {
                await expectError(.invalidValue) { _ = try await search.search(VectorQuery(asked, k: k), in: set.snapshot()) }
            }
            await expectError(.invalidValue) {
                _ = try await search.search(VectorQuery(VectorRows([[1, 2, 3]]), k: 1), in: set.snapshot())
            }
            for bad: Float in [.nan, .infinity, 1e19] {
                await expectError(.invalidValue) {
                    _ = try await search.search(VectorQuery(VectorRows([[bad, 0]]), k: 1), in: set.snapshot())
                }
            }
            await expectError(.invalidValue) {
                let many = try VectorRows([Float](repeating: 1, count: 2 * 2049), dimensions: 2)
                _ = try await search.search(VectorQuery(many, k: 1), in: set.snapshot())
            }
            set.delete([0])
            #expect(try await search.search(VectorQuery(asked, k: 3), in: set.snapshot()) == [[], []])
            await expectError(.invalidConfiguration) { _ = try CPUVectorSearch(threads: 0) }
            await expectError(.invalidConfiguration) { _ = try CPUVectorSearch(oversampling: 65) }
            await expectError(.invalidConfiguration) { _ = try SearchLimits(maxK: 0, maxQueries: 1, maxMatrixElements: 1) }
        }

        @Test func aCancelledSearchEndsWithAnError() async throws {
            var noise = Noise(1)
            let set = try VectorSet(VectorFormat(dimensions: 128))
            _ = try set.append(noise.rows(20_000, 128))
            let asked = try noise.rows(500, 128)
            let search = try CPUVectorSearch(threads: 2)
            let task = Task { try await search.search(VectorQuery(asked, k: 10), in: set.snapshot()) }
            task.cancel()
            await expectError(.cancelled) { _ = try await task.value }
            // The lanes are free again.
            let one = try VectorRows(asked.row(0), dimensions: 128)
            #expect(try await search.search(VectorQuery(one, k: 10), in: set.snapshot())[0].count == 10)
        }

        @Test func searchesAtTheSameTimeFindWhatTheyFindAlone() async throws {
            var noise = Noise(2)
            let set = try VectorSet(VectorFormat(dimensions: 64, storage: .int8), blockCapacity: 5000)
            _ = try set.append(noise.rows(30_000, 64))
            let search = try CPUVectorSearch(threads: 2), snapshot = set.snapshot()
            let queries = try (0..<24).map { VectorQuery(try noise.rows($0 % 5 + 1, 64), k: 10 + $0, metric: .cosine) }
            var alone: [[[Hit]]] = []
            for query in queries { alone.append(try await search.search(query, in: snapshot)) }
            let together = try await withThrowingTaskGroup(of: (Int, [[Hit]]).self) { group in
                for (index, query) in queries.enumerated() {
                    group.addTask { (index, try await search.search(query, in: snapshot)) }
                }
                return try await group.reduce(into: [Int: [[Hit]]]()) { $0[$1.0] = $1.1 }
            }
            for (index, expected) in alone.enumerated() { #expect(together[index] == expected) }
        }

        @Test func similaritiesMatchFloat64() async throws {
            let search = try CPUVectorSearch(threads: 2)
            for (m, n, dimensions) in [(1, 1, 1), (1, 700, 33), (130, 5, 17), (131, 600, 70), (3, 1030, 384)] {
                var noise = Noise(UInt64(m * n))
                let left = try noise.rows(m, dimensions), right = try noise.rows(n, dimensions)
                for level in featureLevels {
                    try await withFeatures(level) {
                        for metric in VectorMetric.allCases {
                            let scores = try await search.similarity(left, right, metric: metric)
                            #expect(scores.count == m * n)
                            let tolerance = Reference.tolerance(dimensions, metric, .fp32)
                            for (index, score) in scores.enumerated() where index % 7 == 0 || index >= m * n - 3 {
                                let expected = Reference.score(left.row(index / n), right.row(index % n), metric, .fp32)
                                #expect(abs(Double(score) - expected) <= tolerance, "\(metric) \(index) features \(level)")
                            }
                        }
                    }
                }
            }
            #expect(VectorMetric.l2.reading(-9) == 3 && VectorMetric.l2.reading(0) == 0 && VectorMetric.cosine.reading(-0.5) == -0.5)
        }

        @Test func wrongMatricesGetAnError() async throws {
            let search = try CPUVectorSearch(threads: 1, limits: SearchLimits(maxK: 1, maxQueries: 1, maxMatrixElements: 5))
            let two = try VectorRows([[1, 2], [3, 4]]), three = try VectorRows([[1, 2], [3, 4], [5, 6]])
            #expect(try await search.similarity(two, two, metric: .dot) == [5, 11, 11, 25])
            await expectError(.invalidValue) { _ = try await search.similarity(two, three, metric: .dot) }
            await expectError(.invalidValue) { _ = try await search.similarity(two, VectorRows([[1]]), metric: .dot) }
            await expectError(.invalidValue) { _ = try await search.similarity(two, VectorRows([[1, .nan]]), metric: .dot) }
            #expect(try await search.similarity(two, VectorRows([], dimensions: 2), metric: .l2) == [])
        }

        @Test func theKernelsRefuseWhatTheyCannotRead() throws {
            let stride = apus_vector_stride(APUS_VECTORS_FP32, 3)
            #expect(stride == 64)
            #expect(apus_vector_stride(APUS_VECTORS_FP32, 0) == 0 && apus_vector_stride(APUS_VECTORS_INT8, 65_537) == 0)
            #expect(apus_queries_bytes(APUS_VECTORS_FP32, 3, 0) == 0 && apus_queries_bytes(APUS_VECTORS_FP32, 3, .max) == 0)
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
            defer { memory.deallocate() }
            let base = try #require(memory.baseAddress), rows = base + 2048, norms = (base + 3072).assumingMemoryBound(to: Float.self)
            #expect(apus_vectors_encode(APUS_VECTORS_FP32, 3, [1, 2, 3, 4, 5, 6], 2, rows, norms, nil) == APUS_OK)
            #expect(apus_vectors_encode(APUS_VECTORS_INT8, 3, [1, 2, 3], 1, rows + 128, norms + 2, nil) == APUS_BAD_ARGUMENT)
            #expect(apus_queries_pack(APUS_METRIC_DOT, APUS_VECTORS_FP32, 3, [1, 1, 1], 1, base) == APUS_OK)
            var vectors = apus_vectors(storage: APUS_VECTORS_FP32, dimensions: 3, count: 2, values: rows, norms: norms, scales: nil)
            var hits = [apus_hit](repeating: apus_hit(), count: 2)
            apus_hits_begin(&hits, 2, 1)
            func offer(_ first: Int64, _ count: Int64, _ list: [Int32]? = nil) -> apus_result {
                list.map { rows in
                    rows.withUnsafeBufferPointer {
                        apus_scan_top(&vectors, base, apus_row_choice(list: $0.baseAddress, first: 0, count: count), 0, 2, &hits)
                    }
                } ?? apus_scan_top(&vectors, base, apus_row_choice(list: nil, first: first, count: count), 0, 2, &hits)
            }
            #expect(offer(0, 3) == APUS_BAD_ARGUMENT && offer(-1, 1) == APUS_BAD_ARGUMENT && offer(2, 1) == APUS_BAD_ARGUMENT)
            #expect(offer(0, 1, [2]) == APUS_BAD_ARGUMENT && offer(0, 1, [-1]) == APUS_BAD_ARGUMENT && offer(0, -1) == APUS_BAD_ARGUMENT)
            #expect(offer(0, 2) == APUS_OK)
            #expect(apus_hits_finish(&hits, 2) == 2 && hits[0].row == 1 && hits[0].score == 15 && hits[1].score == 6)
            vectors.dimensions = 4
            #expect(offer(0, 1) == APUS_BAD_ARGUMENT)
            vectors.dimensions = 3
            memory[0] ^= 1
            #expect(offer(0, 1) == APUS_BAD_BLOB)
        }
    }
}
