import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusScheduling
import ApusTensor
import ApusTokenizers
import Foundation
import Testing

@Suite(.timeLimit(.minutes(1))) struct TextEmbedderTests {
    /// A generated checkpoint: its tokenizer and limits are real, its network is replaced by the script.
    private static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/tiny/bert-mean").path

    private func embedder(_ executor: ScriptedExecutor, _ policy: BatchPolicy? = nil) async throws -> TextEmbedder {
        let checkpoint = try Checkpoint(directory: Self.directory)
        let encoder = try await SentenceEncoder.load(checkpoint, onto: executor)
        let metrics = BatchMetrics(model: "scripted")
        let embedder = TextEmbedder(
            checkpoint, tokenizer: try Tokenizer(contentsOf: checkpoint.tokenizerPath), dimensions: encoder.dimensions, metrics: metrics,
            scheduler: BatchScheduler(model: "scripted", policy: try policy ?? BatchPolicy(), metrics: metrics))
        embedder.scheduler.open(Replica(executor: executor, work: encoder, precision: .fp32))
        return embedder
    }

    private func tokens(_ ids: [Int32]) -> TextInput { .tokens(ids) }

    @Test func answersComeInTheOrderOfTheInputs() async throws {
        let embedder = try await embedder(ScriptedExecutor(lanes: 3))
        let lengths = (0..<300).map { 1 + ($0 * 7) % 30 }
        let result = try await embedder.embed(lengths.map { tokens([Int32](repeating: 2, count: $0)) })
        let expected = lengths.flatMap { [Float(2 * $0), Float($0)] }
        #expect(result.sequences.vectors == expected)
        #expect(result.tokenCounts.map(\.run) == lengths)
    }

    @Test func manyCallersEachGetTheirOwn() async throws {
        let embedder = try await embedder(ScriptedExecutor(lanes: 2))
        try await withThrowingTaskGroup(of: (Int, [Float]).self) { group in
            for caller in 0..<100 {
                group.addTask {
                    let inputs = (0...(caller % 5)).map { TextInput.tokens([Int32(caller), Int32($0)]) }
                    return (caller, try await embedder.embed(inputs).sequences.vectors)
                }
            }
            for try await (caller, vectors) in group {
                #expect(vectors == (0...(caller % 5)).flatMap { [Float(caller + $0), 2] })
            }
        }
    }

    @Test func requestsOfDifferentCallersShareABatch() async throws {
        let executor = ScriptedExecutor(holding: true)
        let embedder = try await embedder(executor)
        async let first = embedder.embed([tokens([1])])
        while executor.model.runs.isEmpty { await Task.yield() }
        async let second = embedder.embed([tokens([2])])
        async let third = embedder.embed([tokens([3])])
        while embedder.waitingTokens < 2 { await Task.yield() }
        executor.model.release()
        executor.model.release()
        let answers = try await [first, second, third]
        #expect(answers.map(\.sequences.vectors) == [[1, 1], [2, 1], [3, 1]])
        #expect(executor.model.runs.map { $0.sorted() } == [[1], [2, 3]])
        #expect(answers.map { $0.sequences.runs.map(\.batchSize) } == [[1], [2], [2]])
    }

    @Test func aCancelledCallerIsToldAtOnceAndItsWorkNeverRuns() async throws {
        let executor = ScriptedExecutor(holding: true)
        let embedder = try await embedder(executor)
        async let first = embedder.embed([tokens([1])])
        while executor.model.runs.isEmpty { await Task.yield() }
        let cancelled = Task { try await embedder.embed([.tokens([9])]) }
        while embedder.waitingTokens < 1 { await Task.yield() }
        cancelled.cancel()
        let outcome = await cancelled.result
        #expect { try outcome.get() } throws: { ($0 as? ApusError)?.code == .cancelled }
        #expect(embedder.waitingTokens == 0)
        executor.model.release()
        #expect(try await first.sequences.vectors == [1, 1])
        #expect(executor.model.runs == [[1]])
    }

    @Test func expiredWorkNeverRuns() async throws {
        let executor = ScriptedExecutor(holding: true)
        let embedder = try await embedder(executor)
        async let first = embedder.embed([tokens([1])])
        while executor.model.runs.isEmpty { await Task.yield() }
        let late = Task { try await embedder.embed([.tokens([9])], options: BatchOptions(deadline: .now - .seconds(1))) }
        while embedder.waitingTokens < 1 { await Task.yield() }
        executor.model.release()
        let outcome = await late.result
        #expect { try outcome.get() } throws: { ($0 as? ApusError)?.code == .deadlineExceeded }
        #expect(try await first.sequences.vectors == [1, 1])
        #expect(executor.model.runs == [[1]])
    }

    @Test func aFullQueueIsToldAtOnce() async throws {
        let executor = ScriptedExecutor(holding: true)
        let embedder = try await embedder(executor, BatchPolicy(maxQueuedTokens: 4))
        async let first = embedder.embed([tokens([1])])
        while executor.model.runs.isEmpty { await Task.yield() }
        async let second = embedder.embed([tokens([2, 2, 2])])
        while embedder.waitingTokens < 3 { await Task.yield() }
        await #expect { try await embedder.embed([.tokens([3, 3])]) } throws: { ($0 as? ApusError)?.code == .overloaded }
        executor.model.release()
        executor.model.release()
        #expect(try await [first, second].map(\.sequences.vectors) == [[1, 1], [6, 3]])
    }

    @Test func aSequenceThatFailsThreeTimesAloneFailsItsCallerAndNobodyElse() async throws {
        let executor = ScriptedExecutor()
        let embedder = try await embedder(executor)
        executor.model.fail(next: 2)
        #expect(try await embedder.embed([tokens([4])]).sequences.vectors == [4, 1])
        executor.model.fail(next: 3)
        await #expect { try await embedder.embed([.tokens([1])]) } throws: { ($0 as? ApusError)?.code == .engineFailure }
        #expect(try await embedder.embed([tokens([5])]).sequences.vectors == [5, 1])
    }

    @Test func aPoisonedSequenceFailsAloneInItsBatch() async throws {
        let executor = ScriptedExecutor(holding: true)
        let embedder = try await embedder(executor)
        async let first = embedder.embed([tokens([1])])
        while executor.model.runs.isEmpty { await Task.yield() }
        let bad = Task { try await embedder.embed([.tokens([ScriptedModel.poison])]) }
        async let good = embedder.embed([tokens([3])])
        while embedder.waitingTokens < 2 { await Task.yield() }
        // The first run, the shared batch, and its two sequences one by one: there is no other device to try the bad one on.
        for _ in 0..<4 { executor.model.release() }
        let outcome = await bad.result
        #expect { try outcome.get() } throws: { ($0 as? ApusError)?.code == .engineFailure }
        #expect(try await [first, good].map(\.sequences.vectors) == [[1, 1], [3, 1]])
    }

    @Test func theQueueIsMeasuredInSeconds() async throws {
        let executor = ScriptedExecutor()
        let embedder = try await embedder(executor)
        #expect(embedder.scheduler.estimatedWait() == nil)
        _ = try await embedder.embed([tokens([1, 2, 3])])
        #expect(embedder.scheduler.estimatedWait() == 0)
    }

    @Test func badInputsAreNamedByTheirPlace() async throws {
        let executor = ScriptedExecutor()
        let embedder = try await embedder(executor)
        let limit = Int32(embedder.vocabularySize)
        await #expect { try await embedder.embed([.tokens([1]), .tokens([limit])]) } throws: {
            let error = $0 as? ApusError
            return error?.code == .invalidToken && error?.place == "input[1]"
        }
        await #expect { try await embedder.embed([.tokens([-1])]) } throws: { ($0 as? ApusError)?.code == .invalidToken }
        await #expect { try await embedder.embed([.tokens([])]) } throws: { ($0 as? ApusError)?.code == .emptyInput }
        #expect(try await embedder.embed([tokens([limit - 1])]).sequences.vectors == [Float(limit - 1), 1])
    }

    @Test func longInputsAreCutOrRefusedAsAsked() async throws {
        let embedder = try await embedder(ScriptedExecutor())
        let long = [Int32](repeating: 1, count: embedder.maxTokens + 5)
        let cut = try await embedder.embed([tokens(long)])
        #expect(cut.sequences.vectors == [Float(embedder.maxTokens), Float(embedder.maxTokens)])
        #expect(cut.tokenCounts.first?.original == long.count)
        await #expect { try await embedder.embed([.tokens(long)], truncation: .refuse) } throws: {
            ($0 as? ApusError)?.code == .contextLengthExceeded
        }
        let text = String(repeating: "a text of many words ", count: 100)
        let textCut = try await embedder.embed([.text(text)])
        #expect(textCut.tokenCounts.first?.run == embedder.maxTokens)
    }

    @Test func nothingInGivesNothingOut() async throws {
        let embedder = try await embedder(ScriptedExecutor())
        #expect(try await embedder.embed([]).sequences.vectors.isEmpty)
    }
}
