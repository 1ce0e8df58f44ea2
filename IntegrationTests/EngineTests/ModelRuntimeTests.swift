import Apus
import Foundation
import Testing

/// Several models on the same devices, through the public library.
@Suite(.serialized) struct ModelRuntimeTests {
    private func runtime() throws -> ModelRuntime { try ModelRuntime(installation: Pictures.installation) }

    @Test func severalModelsAnswerAtOnceInTheOrderOfTheRequests() async throws {
        let runtime = try runtime()
        try await runtime.load("pictures", path: Pictures.path("model.onnx"), weight: 2)
        try await runtime.load("single", path: Pictures.path("fixed.onnx"), batching: .priority())
        let embedder = try await runtime.loadEmbedder("texts", batching: .adaptive(targetLatency: .milliseconds(100)))
        #expect(runtime.names == ["pictures", "single", "texts"])
        let golden = try Pictures.golden("logits")
        async let vectors = embedder.embed(["A swift sleeps on the wing."], priority: .high, deadline: .now + .seconds(60))
        let answers = try await runtime.predictMultiple(
            (0..<20).map { (model: $0.isMultiple(of: 2) ? "pictures" : "single", inputs: Pictures.item($0 % Pictures.count)) })
        for (place, answer) in answers.enumerated() {
            let (cosine, difference) = agreement(answer["logits"]?.float32 ?? [], [golden[place % Pictures.count]])
            #expect(cosine > 0.99999 && difference < 1e-5)
        }
        #expect(answers.count == 20)
        #expect(try await vectors.map(\.count) == [384])
    }

    @Test func namesThatAreUnknownTakenOrOfAnotherKindAreErrors() async throws {
        let runtime = try runtime()
        try await runtime.load("pictures", path: Pictures.path("model.onnx"))
        func code(_ work: () async throws -> Void) async -> ApusError.Code? {
            do {
                try await work()
                return nil
            } catch {
                return (error as? ApusError)?.code
            }
        }
        #expect(await code { _ = try await runtime.predict("faces", Pictures.item(0)) } == .modelNotFound)
        #expect(await code { _ = try await runtime.predictMultiple([("pictures", Pictures.item(0)), ("faces", Pictures.item(0))]) } == .modelNotFound)
        #expect(await code { try await runtime.unload("faces") } == .modelNotFound)
        #expect(await code { try await runtime.load("pictures", path: Pictures.path("fixed.onnx")) } == .invalidValue)
        #expect(await code { try await runtime.load("other", path: Pictures.path("fixed.onnx"), weight: 0) } == .invalidValue)
        #expect(await code { _ = try runtime.embedder("pictures") } == .invalidValue)
        #expect(await code { try await runtime.load("broken", path: Pictures.path("summed.onnx")) } == .unsupportedModel)
        #expect(runtime.names == ["pictures"])
        // A name whose model failed to load is free again.
        try await runtime.load("broken", path: Pictures.path("fixed.onnx"))
        #expect(runtime.names == ["broken", "pictures"])
    }

    @Test func scoringModelsServeBesideEmbeddersUnderNamesOfTheirOwn() async throws {
        let runtime = try runtime()
        let (rank, classify) = (try #require(TinyClassifier.rerankers.first), try #require(TinyClassifier.classifiers.first))
        let reranker = try await runtime.loadReranker("ranks", model: rank.directory, precision: .fp32, weight: 2)
        let classifier = try await runtime.loadClassifier("labels", model: classify.directory, precision: .fp32)
        try await runtime.loadEmbedder("texts", precision: .fp32)
        #expect(runtime.names == ["labels", "ranks", "texts"])
        #expect(reranker.model == "ranks" && classifier.model == "labels" && reranker.devices == classifier.devices)
        let (pairs, texts) = (try rank.golden(), try classify.golden())
        async let vector = runtime.embedder("texts").embed("A swift sleeps on the wing.")
        for (pair, logits) in zip(pairs.pairs, pairs.pairLogits) {
            let answer = try #require(try await runtime.reranker("ranks").rank(pair.0, [pair.1]).first)
            #expect(abs(answer.logit - logits[0]) <= 1e-5)
        }
        for (answer, logits) in zip(try await runtime.classifier("labels").classify(texts.texts), texts.textLogits) {
            #expect(zip(answer.logits, logits).allSatisfy { abs($0 - $1) <= 1e-5 } && answer.logits.count == logits.count)
        }
        #expect(try await vector.count == 384)

        let refused = { (code: ApusError.Code) in { (error: any Error) in (error as? ApusError)?.code == code } }
        #expect(throws: ApusError.self) { try runtime.model("ranks") }
        #expect { try runtime.classifier("ranks") } throws: { refused(.invalidValue)($0) && "\($0)".contains("a reranker") }
        #expect { try runtime.reranker("texts") } throws: { refused(.invalidValue)($0) && "\($0)".contains("a text encoder") }
        await #expect { try await runtime.loadReranker("other", model: classify.directory) } throws: { refused(.unsupportedTask)($0) }
        await #expect { try await runtime.loadClassifier("labels", model: classify.directory) } throws: { refused(.invalidValue)($0) }
        try await runtime.unload("ranks")
        #expect(runtime.names == ["labels", "texts"])
        await #expect { try await reranker.rank("q", ["d"]) } throws: { refused(.modelUnloaded)($0) }
        #expect { try runtime.reranker("ranks") } throws: { refused(.modelNotFound)($0) }
    }

    @Test func unloadingLosesNothingThatWasAccepted() async throws {
        let runtime = try runtime()
        let model = try await runtime.load("pictures", path: Pictures.path("model.onnx"), batching: .dynamic(maxBatchSize: 2))
        try await runtime.load("others", path: Pictures.path("fixed.onnx"))
        let golden = try Pictures.golden("logits")
        let begun = Tally()
        let tasks = (0..<20).map { number in
            Task {
                begun.add()
                return try await model.batchExecute((0..<4).map { Pictures.item(($0 + number) % Pictures.count) })
            }
        }
        while begun.count < 20 { await Task.yield() }
        let others = Task { try await runtime.predict("others", Pictures.item(0)) }
        try await runtime.unload("pictures")
        var (answered, refused) = (0, 0)
        for (number, task) in tasks.enumerated() {
            switch await task.result {
            case .success(let answers):
                let rows = answers.compactMap { $0["logits"]?.float32 }
                let (_, difference) = agreement(Array(rows.joined()), (0..<4).map { golden[($0 + number) % Pictures.count] })
                #expect(difference < 1e-5)
                answered += 1
            case .failure(let error):
                #expect((error as? ApusError)?.code == .modelUnloaded)
                refused += 1
            }
        }
        #expect(answered + refused == 20 && answered > 0)
        #expect(try await others.value["logits"] != nil)
        await #expect { try await model.execute(Pictures.item(0)) } throws: { ($0 as? ApusError)?.code == .modelUnloaded }
        await #expect { try await runtime.predict("pictures", Pictures.item(0)) } throws: { ($0 as? ApusError)?.code == .modelNotFound }
        // The name is free, and the model comes back.
        try await runtime.load("pictures", path: Pictures.path("model.onnx"))
        let again = try await runtime.predict("pictures", Pictures.item(1))
        #expect(agreement(again["logits"]?.float32 ?? [], [golden[1]]).difference < 1e-5)
    }

    @Test func unloadingGivesMemoryBackToTheSystem() async throws {
        let runtime = try runtime()
        func round() async throws -> (before: Int, loaded: Int, after: Int) {
            let before = try residentShare()
            let loaded: Int
            do {
                let embedder = try await runtime.loadEmbedder("texts")
                _ = try await embedder.embed((0..<200).map { "A swift sleeps on the wing, number \($0)." })
                loaded = try residentShare()
            }
            try await runtime.unload("texts")
            return (before, loaded, try residentShare())
        }
        // What the first rounds take for good is the engine's and the process's, not the model's.
        for _ in 0..<2 { _ = try await round() }
        let (before, loaded, after) = try await round()
        #expect(loaded - before > 50 << 10, "\(before) KiB before, \(loaded) loaded, \(after) after")
        #expect(after - before < (loaded - before) / 5, "\(before) KiB before, \(loaded) loaded, \(after) after")
    }

    /// KiB of memory that this process has for itself, plus its part of what it shares (`Pss`).
    private func residentShare() throws -> Int {
        let report = try String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8)
        let line = try #require(report.split(separator: "\n").first { $0.hasPrefix("Pss:") })
        return try #require(line.split(separator: " ").compactMap { Int($0) }.first)
    }
}
