import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusScheduling
import ApusTensor
import ApusTokenizers
import ApusVectors
import Foundation
import NIOConcurrencyHelpers
import Testing

/// A store that answers what a test put there, and keeps what it is given.
private final class ScriptedShare: SharedCache {
    let entries = NIOLockedValueBox<[EmbeddingKey: CachedEmbedding]>([:])
    let asked = NIOLockedValueBox(0)
    /// Stands for every key that is not there.
    let fallback: CachedEmbedding?

    init(fallback: CachedEmbedding? = nil) { self.fallback = fallback }

    func values(for keys: [EmbeddingKey]) async -> [CachedEmbedding?] {
        asked.withLockedValue { $0 += keys.count }
        return entries.withLockedValue { entries in keys.map { entries[$0] ?? fallback } }
    }

    func store(_ new: [(key: EmbeddingKey, value: CachedEmbedding)]) {
        entries.withLockedValue { entries in for (key, value) in new { entries[key] = value } }
    }

    func close() async {}
    var statistics: StoreStatistics { StoreStatistics() }
}

@Suite(.timeLimit(.minutes(1))) struct RememberedTextsTests {
    private static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/tiny/bert-mean").path

    private func embedder(
        _ executor: ScriptedExecutor, _ cache: EmbeddingCache = EmbeddingCache(), intended: [Precision] = [.fp32], runs precision: Precision = .fp32
    ) async throws -> TextEmbedder {
        let checkpoint = try Checkpoint(directory: Self.directory)
        let encoder = try await SentenceEncoder.load(checkpoint, onto: executor)
        let metrics = BatchMetrics(model: "scripted")
        let embedder = TextEmbedder(
            checkpoint, tokenizer: try Tokenizer(contentsOf: checkpoint.tokenizerPath), dimensions: encoder.dimensions, metrics: metrics,
            scheduler: BatchScheduler(model: "scripted", policy: try BatchPolicy(), metrics: metrics),
            cache: ModelCache(
                cache, .init(name: "scripted", weights: "w", files: "f", precisions: intended), dimensions: encoder.dimensions,
                maxTokens: checkpoint.maxTokens))
        embedder.scheduler.open(Replica(executor: executor, work: encoder, precision: precision))
        return embedder
    }

    @Test func whatWasEmbeddedBeforeIsNotComputedAgain() async throws {
        let executor = ScriptedExecutor()
        let embedder = try await embedder(executor)
        let long = [Int32](repeating: 1, count: embedder.maxTokens + 5)
        let first = try await embedder.embed([.tokens([4, 5]), .text("a text"), .tokens(long)])
        let runs = executor.model.runs.count
        #expect(first.remembered.isEmpty)
        // In another order, with a new one between them and one twice.
        let second = try await embedder.embed([.tokens(long), .tokens([9]), .text("a text"), .tokens([4, 5]), .text("a text")])
        #expect(executor.model.runs.count == runs + 1 && executor.model.runs.last == [9])
        #expect(second.remembered == [0, 2, 3, 4])
        let text = Array(first.sequences.vectors[2..<4])
        #expect(second.sequences.vectors == [Float(embedder.maxTokens), Float(embedder.maxTokens), 9, 1] + text + [9, 2] + text)
        let counts = first.tokenCounts
        #expect(second.tokenCounts.enumerated().filter { $0.offset != 1 }.map(\.element) == [counts[2], counts[1], counts[0], counts[1]])
        #expect(second.tokenCounts[1].run == 1 && second.tokenCounts[1].original == 1)
        #expect(second.sequences.runs.map(\.batchSize) == [0, 1, 0, 0, 0])
        #expect(second.sequences.runs.map(\.device) == [DeviceID](repeating: DeviceID(.cpu, 0), count: 5))
    }

    @Test func aLongInputThatIsRememberedCutIsStillRefusedWhereThatIsAsked() async throws {
        let embedder = try await embedder(ScriptedExecutor())
        let long = [Int32](repeating: 1, count: embedder.maxTokens + 1)
        _ = try await embedder.embed([.tokens([7]), .tokens(long)])
        await #expect { try await embedder.embed([.tokens([7]), .tokens(long)], truncation: .refuse) } throws: {
            let error = $0 as? ApusError
            return error?.code == .contextLengthExceeded && error?.place == "input[1]"
        }
    }

    @Test func mistakesAreNamedByTheirPlaceAmongAllInputs() async throws {
        let embedder = try await embedder(ScriptedExecutor())
        let wrong = Int32(embedder.vocabularySize)
        _ = try await embedder.embed([.tokens([1]), .tokens([2])])
        await #expect { try await embedder.embed([.tokens([1]), .tokens([2]), .tokens([wrong])]) } throws: {
            ($0 as? ApusError)?.place == "input[2]"
        }
        let partial = try await embedder.embed(
            [.tokens([1]), .tokens([wrong]), .tokens([2]), .tokens([3])], options: BatchOptions(isPartial: true))
        #expect(partial.sequences.vectors == [1, 1, 0, 0, 2, 1, 3, 1])
        #expect(partial.sequences.failures.keys.sorted() == [1] && partial.remembered == [0, 2])
    }

    @Test func aFailureIsNotRemembered() async throws {
        let executor = ScriptedExecutor()
        let embedder = try await embedder(executor)
        executor.model.fail(next: 3)
        await #expect { try await embedder.embed([.tokens([1])]) } throws: { ($0 as? ApusError)?.code == .engineFailure }
        #expect(try await embedder.embed([.tokens([1])]).remembered.isEmpty)
        #expect(try await embedder.embed([.tokens([1])]).remembered == [0])
    }

    @Test func whatAStandInComputedInAnotherPrecisionIsUsedOnlyWhileItStandsIn() async throws {
        let cache = EmbeddingCache()
        let executor = ScriptedExecutor()
        let embedder = try await embedder(executor, cache, intended: [.fp16], runs: .fp16)
        _ = try await embedder.embed([.tokens([1])])
        let encoder = try await SentenceEncoder.load(try Checkpoint(directory: Self.directory), onto: executor)
        embedder.scheduler.open(Replica(executor: executor, work: encoder, precision: .fp32, fallback: .temporary))
        // What the device computed that it stands in for is as good as ever, and told as what it is.
        let meanwhile = try await embedder.embed([.tokens([1]), .tokens([2])])
        #expect(meanwhile.remembered == [0] && meanwhile.sequences.runs.map(\.precision) == [.fp16, .fp32])
        let again = try await embedder.embed([.tokens([2])])
        #expect(again.remembered == [0] && again.sequences.runs.map(\.precision) == [.fp32])
        embedder.scheduler.open(Replica(executor: executor, work: encoder, precision: .fp16))
        let after = try await embedder.embed([.tokens([2])])
        #expect(after.remembered.isEmpty && after.sequences.runs.map(\.precision) == [.fp16])
        #expect(try await embedder.embed([.tokens([1])]).remembered == [0])
    }

    @Test func ownersDoNotLearnOfEachOther() async throws {
        let embedder = try await embedder(ScriptedExecutor())
        _ = try await embedder.embed([.tokens([1])], owner: "a")
        #expect(try await embedder.embed([.tokens([1])], owner: "b").remembered.isEmpty)
        #expect(try await embedder.embed([.tokens([1])]).remembered.isEmpty)
        #expect(try await embedder.embed([.tokens([1])], owner: "a").remembered == [0])
    }

    @Test func equalInputsOnTheirWayAreComputedOnceAndEachOwnerRemembersThem() async throws {
        let executor = ScriptedExecutor(holding: true)
        let embedder = try await embedder(executor)
        let first = Task { try await embedder.embed([.tokens([1])], owner: "a") }
        while executor.model.runs.isEmpty { await Task.yield() }
        async let second = embedder.embed([.tokens([1])], owner: "b")
        // A third of its own shows that the second has been taken.
        async let third = embedder.embed([.tokens([2])])
        while embedder.waitingTokens < 1 { await Task.yield() }
        for _ in 0..<3 { executor.model.release() }
        _ = try await (first.value, second, third)
        let runs = executor.model.runs.count
        for owner in ["a", "b"] { #expect(try await embedder.embed([.tokens([1])], owner: owner).remembered == [0]) }
        #expect(executor.model.runs.count == runs)
    }

    @Test func aModelOutOfServiceRemembersNothingAloud() async throws {
        let embedder = try await embedder(ScriptedExecutor())
        _ = try await embedder.embed([.tokens([1])])
        await embedder.scheduler.drain(refusing: ApusError(.modelUnloaded, "unloaded"))
        await #expect { try await embedder.embed([.tokens([1])]) } throws: { ($0 as? ApusError)?.code == .modelUnloaded }
    }

    @Test func anotherProgramsVectorIsUsedAndOwnOnesArePassedOn() async throws {
        let (share, executor) = (ScriptedShare(), ScriptedExecutor())
        let one = try await embedder(ScriptedExecutor(), EmbeddingCache(shared: share))
        let computed = try await one.embed([.tokens([5, 6])])
        #expect(share.entries.withLockedValue { $0.count } == 1)
        let other = try await embedder(executor, EmbeddingCache(shared: share))
        let answer = try await other.embed([.tokens([5, 6]), .tokens([7])])
        #expect(answer.remembered == [0] && executor.model.runs == [[7]])
        #expect(answer.sequences.vectors == computed.sequences.vectors + [7, 1] && answer.tokenCounts.first == computed.tokenCounts.first)
        // From its own memory the next time.
        let asked = share.asked.withLockedValue { $0 }
        #expect(try await other.embed([.tokens([5, 6])]).remembered == [0])
        #expect(share.asked.withLockedValue { $0 } == asked)
    }

    @Test(arguments: [([Float](repeating: 1, count: 3), 1, 1), ([1, 1], 0, 1), ([1, 1], 9, 1), ([1, 1], 1 << 20, 1 << 20)])
    func aVectorThatCannotBeTheModelsIsComputed(vector: [Float], tokens: Int, original: Int) async throws {
        let wrong = CachedEmbedding(vector: vector, tokens: tokens, originalTokens: original, device: DeviceID(.cpu, 0))
        let embedder = try await embedder(ScriptedExecutor(), EmbeddingCache(shared: ScriptedShare(fallback: wrong)))
        let answer = try await embedder.embed([.tokens([5, 6])])
        #expect(answer.remembered.isEmpty && answer.sequences.vectors == [11, 2])
    }

    @Test func allDevicesOfAGroupAreToldOfWhatItComputedBefore() async throws {
        let devices = [DeviceID(.cpu, 0), DeviceID(.cpu, 1)]
        let group = try GroupShape([devices.map { GroupShape.Member($0) }])
        let share = ScriptedShare()
        let embedder = try await embedder(ScriptedExecutor(group: group), EmbeddingCache(shared: share))
        #expect(try await embedder.embed([.tokens([1])]).sequences.runs.map(\.devices) == [devices])
        let again = try await embedder.embed([.tokens([2]), .tokens([1])])
        #expect(again.remembered == [1] && again.sequences.runs.map(\.devices) == [devices, devices])
        // Another server that computes on one device tells who has computed it.
        let other = try await self.embedder(ScriptedExecutor(), EmbeddingCache(shared: share)).embed([.tokens([1]), .tokens([3])])
        #expect(other.remembered == [0] && other.sequences.runs.map(\.devices) == [devices, [DeviceID(.cpu, 0)]])
    }

    @Test func nothingHasRoomInACacheOfNoEntries() async throws {
        let embedder = try await embedder(ScriptedExecutor(), EmbeddingCache(try CacheLimits(maxEntries: 0, maxBytes: 0)))
        for _ in 0..<2 { #expect(try await embedder.embed([.tokens([1])]).remembered.isEmpty) }
    }
}
