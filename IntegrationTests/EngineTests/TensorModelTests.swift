import Apus
import ApusJSON
import Foundation
import Testing

/// Models of any tensors through the public library, on the files that `scripts/make_image_model.py` writes.
@Suite(.serialized) struct TensorModelTests {
    private func load(_ file: String, batching: Batching = .dynamic()) async throws -> Model {
        try await Model.load(Pictures.path(file), batching: batching, installation: Pictures.installation)
    }

    @Test func picturesGiveWhatONNXRuntimeGivesFromPython() async throws {
        let model = try await load("model.onnx")
        #expect(model.inputs.map(\.name) == ["pixels"] && model.inputs.map(\.shape) == [[3, 224, 224]])
        #expect(model.inputs.map(\.elementType) == [.float32])
        #expect(model.outputs.map(\.name) == ["logits", "features"] && model.outputs.map(\.shape) == [[10], [32]])
        let agreementWithPlainGraph = try #require(model.agreement)
        #expect(agreementWithPlainGraph > 0.9999)
        let answers = try await model.batchExecute((0..<Pictures.count).map(Pictures.item))
        for (name, width) in [("logits", 10), ("features", 32)] {
            let golden = try Pictures.golden(name)
            let rows = answers.compactMap { $0[name]?.float32 }
            #expect(rows.count == Pictures.count && rows.allSatisfy { $0.count == width })
            let (cosine, difference) = agreement(Array(rows.joined()), golden)
            #expect(cosine > 0.99999 && difference < 1e-5, "\(name): cosine \(cosine), difference \(difference)")
        }
    }

    @Test func aPictureGetsInABatchWhatItGetsAlone() async throws {
        let model = try await load("model.onnx", batching: .dynamic(maxBatchSize: 8))
        let together = try await model.batchExecute((0..<24).map { Pictures.item($0 % Pictures.count) })
        for (place, answer) in together.enumerated() {
            let alone = try await model.execute(Pictures.item(place % Pictures.count))
            for name in ["logits", "features"] {
                let (a, b) = (try #require(answer[name]?.float32), try #require(alone[name]?.float32))
                #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-6 } && a.count == b.count)
            }
        }
    }

    @Test func aModelForOnePictureRunsThemOneByOne() async throws {
        let model = try await load("fixed.onnx")
        #expect(model.inputs.map(\.shape) == [[3, 224, 224]])
        let rows = try await model.batchExecute((0..<Pictures.count).map(Pictures.item)).compactMap { $0["logits"]?.float32 }
        let (cosine, difference) = agreement(Array(rows.joined()), try Pictures.golden("logits"))
        #expect(cosine > 0.99999 && difference < 1e-5)
    }

    @Test func itemsOfDifferentLengthsAreAnsweredEachInItsOwn() async throws {
        let model = try await load("open.onnx")
        #expect(model.inputs.map(\.shape) == [[nil], [nil]])
        let lengths = [3, 5, 3, 1, 5, 3]
        let items = try lengths.enumerated().map { place, length in
            [
                "values": try Tensor(shape: [length], .float32((0..<length).map { Float(place * 10 + $0) })),
                "ids": try Tensor(shape: [length], .int64((0..<length).map { Int64($0 + 1) })),
            ]
        }
        let answers = try await model.batchExecute(items)
        #expect(answers.count == lengths.count)
        for (place, length) in lengths.enumerated() {
            #expect(answers[place]["weighted"]?.float32 == (0..<length).map { Float(place * 10 + $0) * Float($0 + 1) })
            #expect(answers[place]["next"]?.int64 == (0..<length).map { Int64($0 + 2) })
            #expect(answers[place]["next"]?.shape == [length])
        }
    }

    @Test func tensorsThatAreNotTheModelsAreNamed() async throws {
        let model = try await load("model.onnx")
        let item = Pictures.item(0)
        let pixels = try #require(item["pixels"])
        let batched = try Tensor(shape: [1, 3, 224, 224], pixels.elements)
        let integers = try Tensor(shape: [3, 224, 224], .int32([Int32](repeating: 0, count: 3 * 224 * 224)))
        let wrong: [([String: Tensor], String)] = [
            ([:], "inputs.pixels"), (["image": pixels, "pixels": pixels], "inputs.image"), (["pixels": batched], "inputs.pixels"),
            (["pixels": integers], "inputs.pixels"),
        ]
        for (inputs, place) in wrong {
            await #expect { try await model.execute(inputs) } throws: {
                ($0 as? ApusError)?.code == .invalidValue && ($0 as? ApusError)?.place == place
            }
        }
        let results = try await model.batchResults([item, [:], item])
        #expect(results.map { (try? $0.get()) != nil } == [true, false, true])
        #expect(throws: ApusError.self) { try Tensor(shape: [2, 3], .float32([1, 2])) }
        #expect(throws: ApusError.self) { try Tensor(shape: [.max, 2], .float32([])) }
    }

    @Test(arguments: ["summed.onnx", "half.onnx"])
    func modelsThatCannotBeBatchedAreRefused(file: String) async {
        await #expect { try await load(file) } throws: { ($0 as? ApusError)?.code == .unsupportedModel }
    }

    @Test func filesThatAreNoModelsAreRefused() async {
        await #expect { try await load("golden.json") } throws: { ($0 as? ApusError)?.code == .invalidCheckpoint }
        await #expect { try await load("nothing.onnx") } throws: { ($0 as? ApusError)?.code == .fileUnreadable }
        await #expect { try await load("model.onnx", batching: .dynamic(maxBatchSize: 0)) } throws: {
            ($0 as? ApusError)?.code == .invalidValue
        }
    }

    @Test func whatNobodyWaitsForIsCalledOff() async throws {
        let model = try await load("model.onnx")
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await model.execute(Pictures.item(0))
        }
        task.cancel()
        await #expect { _ = try await task.value } throws: { ($0 as? ApusError)?.code == .cancelled }
        await #expect { try await model.execute(Pictures.item(0), deadline: .now - .seconds(1)) } throws: {
            ($0 as? ApusError)?.code == .deadlineExceeded
        }
    }

    @Test func workersComputeTheSame() async throws {
        let program = TinyCheckpoint.repository.appendingPathComponent(".build/release/apus").path
        try #require(FileManager.default.isExecutableFile(atPath: program), "the program is built before its tests")
        let model = try await Model.load(
            Pictures.path("model.onnx"), batching: .adaptive(targetLatency: .milliseconds(200)), installation: Pictures.installation,
            execution: .workers(executable: program))
        let answers = try await model.batchExecute((0..<Pictures.count).map(Pictures.item))
        let (_, logits) = agreement(Array(answers.compactMap { $0["logits"]?.float32 }.joined()), try Pictures.golden("logits"))
        let (_, features) = agreement(Array(answers.compactMap { $0["features"]?.float32 }.joined()), try Pictures.golden("features"))
        #expect(logits < 1e-5 && features < 1e-5)
    }
}
