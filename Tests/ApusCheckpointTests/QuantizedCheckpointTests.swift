import ApusCheckpoint
import ApusErrors
import ApusTensor
import Foundation
import Testing

@Suite struct QuantizedCheckpointTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/tiny")

    private func quantized(_ name: String, _ precision: Precision, into directory: String) throws {
        try Checkpoint(directory: Self.fixtures.appendingPathComponent(name).path).quantized(to: precision, into: directory) { _, _ in }
    }

    @Test func integersAreTheNearestAndScalesSpanTheRow() throws {
        let directory = try TemporaryDirectory()
        try quantized("bert-mean", .int8, into: directory.file("q"))
        let name = "encoder.layer.0.attention.self.query.weight"
        guard case .encoder(_, let before) = try Checkpoint(directory: Self.fixtures.appendingPathComponent("bert-mean").path).source,
            case .encoder(_, let after) = try Checkpoint(directory: directory.file("q")).source
        else { return }
        let floats = try #require(before[name]).floats()
        let scales = try #require(after[name + ".scale"]).floats()
        let integers = try #require(after[name])
        #expect(integers.elementType == .int8 && scales.count == integers.shape[0])
        let width = integers.shape[1]
        let values = Array(integers.bytes.bindMemory(to: Int8.self))
        for row in scales.indices {
            let extreme = floats[(row * width)..<((row + 1) * width)].reduce(0) { max($0, abs($1)) }
            #expect(abs(scales[row] - extreme / 127) <= extreme * 1e-6)
            for column in 0..<width {
                #expect(abs(floats[row * width + column] - Float(values[row * width + column]) * scales[row]) <= scales[row] * 0.5001)
            }
        }
    }

    @Test func everythingButTheWeightsIsCopied() throws {
        let directory = try TemporaryDirectory()
        try quantized("bert-max-dense-sharded", .int8, into: directory.file("q"))
        let source = Self.fixtures.appendingPathComponent("bert-max-dense-sharded").path
        for file in ["tokenizer.json", "modules.json", "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"] {
            #expect(FileManager.default.contentsEqual(atPath: "\(source)/\(file)", andPath: directory.file("q/\(file)")))
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.file("q"))
        #expect(names.contains("model.safetensors") && !names.contains { $0.contains("index") || $0.contains("partial") || $0.contains("0000") })
        let text = try String(contentsOfFile: directory.file("q/config.json"), encoding: .utf8)
        #expect(text.contains(#""quantization_config":{"quant_method":"apus","precision":"int8"}"#))
    }

    @Test func whatCannotBeQuantisedIsRefused() throws {
        let directory = try TemporaryDirectory()
        func code(_ body: () throws -> Void) -> ApusError.Code? {
            do { try body() } catch { return (error as? ApusError)?.code }
            return nil
        }
        #expect(code { try quantized("bert-mean", .bf16, into: directory.file("a")) } == .unsupportedPrecision)
        #expect(code { try quantized("onnx-bert", .int8, into: directory.file("a")) } == .unsupportedModel)
        #expect(!FileManager.default.fileExists(atPath: directory.file("a")))
        try quantized("bert-mean", .int8, into: directory.file("b"))
        #expect(code { try quantized("bert-mean", .int8, into: directory.file("b")) } == .fileUnwritable)
        #expect(code { try quantized("bert-mean", .int8, into: directory.file("missing/c")) } == .fileUnwritable)
        #expect(code { try Checkpoint(directory: directory.file("b")).quantized(to: .int4, into: directory.file("d")) { _, _ in } } == .unsupportedModel)
    }

    /// Replaces `old` in a file by as many bytes of `new`.
    private func edit(_ path: String, _ old: String, _ new: String) throws {
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        let (from, to) = (Array(old.utf8), Array(new.utf8))
        let place = try #require((0...(bytes.count - from.count)).first { Array(bytes[$0..<($0 + from.count)]) == from })
        bytes.replaceSubrange(place..<(place + from.count), with: to)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test(arguments: [
        ("config.json", #""precision":"int8""#, #""precision":"int4""#, ApusError.Code.invalidCheckpoint),
        ("config.json", #""precision":"int8""#, #""precision":"fp16""#, .invalidCheckpoint),
        ("config.json", #""precision":"int8""#, #""precision":8"#, .invalidCheckpoint),
        ("config.json", #""quant_method":"apus""#, #""quant_method":"gptq""#, .unsupportedModel),
        ("config.json", #""quantization_config""#, #""something_else""#, .unsupportedModel),
        ("model.safetensors", "query.weight.scale\"", "query.weight.sCale\"", .invalidCheckpoint),
        ("model.safetensors", #""I8""#, #""U8""#, .invalidCheckpoint),
    ])
    func contradictionsAreToldByName(file: String, old: String, new: String, code: ApusError.Code) throws {
        let directory = try TemporaryDirectory()
        try quantized("bert-mean", .int8, into: directory.file("q"))
        try edit(directory.file("q/\(file)"), old, new)
        #expect { _ = try Checkpoint(directory: directory.file("q")) } throws: { error in
            let error = error as? ApusError
            return error?.code == code && error?.place?.isEmpty == false
        }
    }

    @Test func scalesThatAreNotFiniteAreRefused() throws {
        let directory = try TemporaryDirectory()
        try quantized("bert-mean", .int4, into: directory.file("q"))
        guard case .encoder(_, let weights) = try Checkpoint(directory: directory.file("q")).source else { return }
        let scales = try #require(weights["encoder.layer.0.intermediate.dense.weight.scale"])
        let whole = try #require(scales.owner.bytes.baseAddress), part = try #require(scales.bytes.baseAddress)
        let path = directory.file("q/model.safetensors")
        var bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        withUnsafeBytes(of: Float.infinity) { bytes.replaceSubrange((part - whole)..<(part - whole + 4), with: $0) }
        try FileManager.default.removeItem(atPath: path)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        #expect { _ = try Checkpoint(directory: directory.file("q")) } throws: { error in
            (error as? ApusError)?.code == .invalidCheckpoint && (error as? ApusError)?.place?.contains("scale") == true
        }
    }
}
