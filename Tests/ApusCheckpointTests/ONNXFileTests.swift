import ApusCheckpoint
import ApusErrors
import ApusTensor
import Foundation
import Testing

struct ONNXFileTests {
    private func directory() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try directory.write("tokenizer.json", "{}")
        return directory
    }

    private func onnx(_ directory: TemporaryDirectory) throws -> ONNXFile {
        guard case .onnx(let file) = try Checkpoint(directory: directory.path).source else {
            throw ApusError(.invalidCheckpoint, "an ONNX file is wanted")
        }
        return file
    }

    @Test(arguments: ["model.onnx", "onnx/model.onnx", "encoder.onnx", "onnx/model_fp16.onnx"])
    func `the model is found in its usual places`(_ name: String) throws {
        let directory = try directory()
        try directory.write(name, TinyONNX.model(nodes: 1))
        #expect(try onnx(directory).path == directory.file(name))
    }

    @Test(arguments: [
        ([1], .fp32), ([1, 7], .fp32), ([10, 7], .fp16), ([1, 10], .fp16), ([16], .bf16), ([1, 3, 7], .int8), ([2, 10], .int8),
        ([1, 22], .int4), ([], .fp32),
    ] as [([UInt64], Precision)])
    func `the precision is that of the stored weights`(_ row: (types: [UInt64], precision: Precision)) throws {
        let directory = try directory()
        let tensors = row.types.flatMap { TinyONNX.field(5, TinyONNX.field(2, $0) + TinyONNX.field(8, "w\($0)")) }
        try directory.write("model.onnx", TinyONNX.model(nodes: 1, graph: tensors))
        #expect(try onnx(directory).precision == row.precision)
    }

    @Test func `model_onnx is taken before others, and several without it are refused`() throws {
        let directory = try directory()
        try directory.write("a.onnx", TinyONNX.model(nodes: 1))
        try directory.write("b.onnx", TinyONNX.model(nodes: 1))
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.message.contains("b.onnx") == true)
        try directory.write("model.onnx", TinyONNX.model(nodes: 1))
        #expect(try onnx(directory).path == directory.file("model.onnx"))
    }

    @Test(arguments: [
        ("{}", nil, 512), (#"{"model_type":"bert","max_position_embeddings":300}"#, nil, 300),
        (#"{"model_type":"roberta","max_position_embeddings":514}"#, nil, 512), (#"{"model_type":"mpnet","max_position_embeddings":514}"#, nil, 512),
        (#"{"model_type":"nomic","max_position_embeddings":2048}"#, 256, 256), ("{}", 100, 100),
    ] as [(String, Int?, Int)])
    func `the longest input comes from the settings beside the file`(_ row: (config: String, maxSequence: Int?, maxTokens: Int)) throws {
        let directory = try directory()
        try directory.write("model.onnx", TinyONNX.model(nodes: 1))
        try directory.write("config.json", row.config)
        if let maxSequence = row.maxSequence { try directory.write("sentence_bert_config.json", #"{"max_seq_length":\#(maxSequence)}"#) }
        #expect(try Checkpoint(directory: directory.path).maxTokens == row.maxTokens)
    }

    @Test(arguments: [(#"{"model_max_length":128}"#, 128), (#"{"model_max_length":1000000000000000019884624838656}"#, 512)])
    func `without positions the tokenizer's limit counts`(_ row: (config: String, maxTokens: Int)) throws {
        let directory = try directory()
        try directory.write("model.onnx", TinyONNX.model(nodes: 1))
        try directory.write("tokenizer_config.json", row.config)
        #expect(try Checkpoint(directory: directory.path).maxTokens == row.maxTokens)
    }

    @Test(arguments: [
        [], Array("this is no model".utf8), [0], [0xFF, 0xFF, 0xFF], [UInt8](repeating: 0, count: 4_096), [UInt8](repeating: 0xFF, count: 64),
        TinyONNX.field(1, 8), TinyONNX.model(nodes: 0), TinyONNX.field(7, TinyONNX.field(1, TinyONNX.node())),
        TinyONNX.field(1, 8) + TinyONNX.varint(7 << 3 | 2) + TinyONNX.varint(.max),
        TinyONNX.field(1, 8) + TinyONNX.varint(7 << 3 | 2) + TinyONNX.varint(1 << 40), TinyONNX.field(1, 8) + TinyONNX.field(7, 3),
        TinyONNX.model(nodes: 1, model: [7 << 3 | 3]), TinyONNX.model(nodes: 1, model: TinyONNX.varint(1 << 40)),
    ] as [[UInt8]])
    func `files that are no model are refused`(_ bytes: [UInt8]) throws {
        let directory = try directory()
        try directory.write("model.onnx", bytes)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place == directory.file("model.onnx"))
    }

    @Test func `a model cut short anywhere is refused`() throws {
        let directory = try directory()
        let whole = TinyONNX.model(nodes: 3)
        for length in 0..<whole.count {
            try directory.write("model.onnx", Array(whole[..<length]))
            #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        }
    }

    @Test func `subgraphs nested without end are refused`() throws {
        let directory = try directory()
        var graph = TinyONNX.field(1, TinyONNX.node())
        for _ in 0..<2_000 { graph = TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(6, graph)))) }
        try directory.write("model.onnx", TinyONNX.field(1, 8) + TinyONNX.field(7, graph))
        #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
    }

    private static let hidden = TinyONNX.external([("location", "../secret")])

    /// Every way from a model to a tensor in onnx.proto.
    @Test(arguments: [
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(5, hidden)),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(15, TinyONNX.field(1, hidden))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(15, TinyONNX.field(2, hidden))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(5, hidden))))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(10, hidden))))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(22, TinyONNX.field(1, hidden)))))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(23, TinyONNX.field(1, hidden)))))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(6, TinyONNX.field(5, hidden)))))),
        TinyONNX.model(nodes: 1, graph: TinyONNX.field(1, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(11, TinyONNX.field(5, hidden)))))),
        TinyONNX.model(nodes: 1, model: TinyONNX.field(25, TinyONNX.field(7, TinyONNX.node(TinyONNX.field(5, TinyONNX.field(5, hidden)))))),
        TinyONNX.model(nodes: 1, model: TinyONNX.field(25, TinyONNX.field(11, TinyONNX.field(5, hidden)))),
        TinyONNX.model(nodes: 1, model: TinyONNX.field(20, TinyONNX.field(1, TinyONNX.field(5, hidden)))),
        TinyONNX.model(nodes: 1, model: TinyONNX.field(20, TinyONNX.field(2, TinyONNX.field(5, hidden)))),
        TinyONNX.model(nodes: 1, model: TinyONNX.field(7, TinyONNX.field(5, hidden))),
    ])
    func `external data is found wherever a tensor can stand`(_ model: [UInt8]) throws {
        let directory = try directory()
        try directory.write("model.onnx", model)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.message.contains("../secret") == true)
        #expect(error?.place == directory.file("model.onnx") + ": tensor \"w\"")
    }

    private func write(_ entries: [(String, String)], to directory: TemporaryDirectory) throws {
        try directory.write("model.onnx", TinyONNX.model(nodes: 1, graph: TinyONNX.field(5, TinyONNX.external(entries))))
    }

    @Test(arguments: [
        [("location", "/etc/passwd")], [("location", "../data")], [("location", "sub/../../data")], [("location", "./data")], [("location", "")],
        [("location", "sub//data")], [("location", "da\0ta")], [("location", "absent")], [("location", "folder")], [("location", "pipe")],
        [("location", "device")], [("location", "outside")], [("location", "loop")], [("location", "twin")], [("location", "linked/data")],
        [], [("offset", "0")], [("location", "data"), ("location", "data")], [("location", "data"), ("offset", "17")],
        [("location", "data"), ("offset", "8"), ("length", "9")], [("location", "data"), ("length", "17")],
        [("location", "data"), ("offset", "-1")], [("location", "data"), ("length", "-1")], [("location", "data"), ("offset", "4611686018427387904")],
        [("location", "data"), ("offset", "9223372036854775807"), ("length", "1")], [("location", "data"), ("offset", "99999999999999999999")],
        [("location", "data"), ("offset", "1e1")], [("location", "data"), ("offset", "")],
    ] as [[(String, String)]])
    func `external data that is elsewhere, shared, no file or too short is refused`(_ entries: [(String, String)]) throws {
        let directory = try directory()
        let other = try TemporaryDirectory()
        try other.write("data", [UInt8](repeating: 0, count: 16))
        try directory.write("data", [UInt8](repeating: 0, count: 16))
        try directory.write("folder/inner", "")
        try #require(mkfifo(directory.file("pipe"), 0o600) == 0)
        for (name, target) in [("device", "/dev/zero"), ("outside", other.file("data")), ("loop", "loop"), ("linked", other.path)] {
            try FileManager.default.createSymbolicLink(atPath: directory.file(name), withDestinationPath: target)
        }
        try FileManager.default.linkItem(atPath: other.file("data"), toPath: directory.file("twin"))
        try write(entries, to: directory)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place == directory.file("model.onnx") + ": tensor \"w\"")
    }

    @Test func `external data beside the model is accepted`() throws {
        let directory = try directory()
        try directory.write("data", [UInt8](repeating: 0, count: 16))
        try directory.write("sub/data", [UInt8](repeating: 0, count: 16))
        try FileManager.default.createSymbolicLink(atPath: directory.file("inside"), withDestinationPath: "sub/data")
        for entries in [
            [("location", "data")], [("location", "data"), ("offset", "8"), ("length", "8")], [("location", "sub/data"), ("checksum", "00")],
            [("location", "inside"), ("length", "16")],
        ] {
            try write(entries, to: directory)
            #expect(try onnx(directory).externalFiles.count == 1)
        }
    }
}
