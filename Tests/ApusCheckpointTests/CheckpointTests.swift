import ApusCheckpoint
import ApusErrors
import Foundation
import Testing

struct CheckpointTests {
    private func directory(_ type: String = "bert") throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try TinyModel(type: type).write(to: directory)
        return directory
    }

    @Test(arguments: [
        ("bert", #"{"max_seq_length":7}"#, 7), ("bert", #"{"max_seq_length":null}"#, 10), ("bert", "{}", 10),
        ("bert", #"{"max_seq_length":4096}"#, 10), ("roberta", #"{"max_seq_length":10}"#, 8),
    ])
    func `the longest input is max_seq_length as far as there are positions`(_ row: (type: String, settings: String, maxTokens: Int)) throws {
        let directory = try directory(row.type)
        try directory.write("sentence_bert_config.json", row.settings)
        #expect(try Checkpoint(directory: directory.path).maxTokens == row.maxTokens)
    }

    @Test(arguments: [(#"{"model_max_length":6}"#, 6), (#"{"model_max_length":1000000000000000019884624838656}"#, 10), ("{}", 10)])
    func `sentence settings without a length leave it to the tokenizer's`(_ row: (config: String, maxTokens: Int)) throws {
        let directory = try directory()
        try directory.write("tokenizer_config.json", row.config)
        try directory.write("sentence_bert_config.json", #"{"transformer_task":"feature-extraction"}"#)
        #expect(try Checkpoint(directory: directory.path).maxTokens == row.maxTokens)
        try directory.remove("sentence_bert_config.json")
        #expect(try Checkpoint(directory: directory.path).maxTokens == 10)
    }

    @Test(arguments: [#"{"max_seq_length":0}"#, #"{"max_seq_length":-1}"#, #"{"max_seq_length":"7"}"#, #"{"do_lower_case":1}"#, "{"])
    func `malformed sentence settings are refused by their file`(_ settings: String) throws {
        let directory = try directory()
        try directory.write("sentence_bert_config.json", settings)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place?.contains("sentence_bert_config.json") == true)
    }

    @Test func `prompts are read`() throws {
        let directory = try directory()
        try directory.write("config_sentence_transformers.json", #"{"prompts":{"query":"query: ","passage":""},"default_prompt_name":"query"}"#)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(checkpoint.prompts == ["query": "query: ", "passage": ""])
        #expect(checkpoint.defaultPromptName == "query")
        try directory.write("config_sentence_transformers.json", #"{"prompts":{},"default_prompt_name":"query"}"#)
        #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
    }

    @Test func `the name is the folder's, however the path is written`() throws {
        let directory = try directory()
        let name = URL(filePath: directory.path).lastPathComponent
        for path in [directory.path, directory.path + "/", directory.path + "/."] {
            #expect(try Checkpoint(directory: path).name == name)
        }
    }

    @Test(arguments: [
        ("tokenizer.json", ApusError.Code.fileUnreadable), ("config.json", .fileUnreadable), ("model.safetensors", .invalidCheckpoint),
    ])
    func `a missing file is named`(_ row: (file: String, code: ApusError.Code)) throws {
        let directory = try directory()
        try directory.remove(row.file)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == row.code)
        #expect(error?.description.contains(row.file) == true)
    }

    @Test(arguments: [("pytorch_model.bin", "safetensors"), ("model-q4.gguf", "safetensors")])
    func `weights in other formats are unsupported, with advice`(_ row: (file: String, advice: String)) throws {
        let directory = try directory()
        try directory.remove("model.safetensors")
        try directory.write(row.file, "x")
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .unsupportedModel)
        #expect(error?.place?.hasSuffix(row.file) == true)
        #expect(error?.advice?.contains(row.advice) == true)
    }

    @Test func `a path that is no folder is refused`() throws {
        let directory = try directory()
        for path in [directory.file("absent"), directory.file("config.json"), "", "a\0b"] {
            let error = #expect(throws: ApusError.self) { try Checkpoint(directory: path) }
            #expect(error?.code == .fileUnreadable)
        }
    }

    @Test(arguments: ["config.json", "model.safetensors"])
    func `a pipe or folder in a file's place is refused without waiting`(_ file: String) throws {
        let directory = try directory()
        try directory.remove(file)
        try #require(mkfifo(directory.file(file), 0o600) == 0)
        let pipe = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(pipe?.code == .fileUnreadable)
        #expect(pipe?.place?.hasSuffix(file) == true)
        try directory.remove(file)
        try directory.write("\(file)/inner", "")
        let folder = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(folder?.code == .fileUnreadable)
    }

    @Test func `files may be links, as in the Hugging Face cache`() throws {
        let blobs = try directory()
        let snapshot = try TemporaryDirectory()
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            try FileManager.default.createSymbolicLink(atPath: snapshot.file(file), withDestinationPath: blobs.file(file))
        }
        #expect(try Checkpoint(directory: snapshot.path).dimensions == 8)
    }

    @Test func `views stay valid while anyone holds them`() throws {
        var view: TensorView?
        do {
            let directory = try directory()
            guard case .encoder(_, let weights) = try Checkpoint(directory: directory.path).source else { return }
            view = weights["embeddings.word_embeddings.weight"]
        }
        #expect(try #require(view).bytes.allSatisfy { $0 == 1 })
    }

    /// Expected digests from Python's hashlib over the same bytes, written there by the same encoding rules.
    @Test func `the digest is that of the weights' bytes`() throws {
        let directory = try TemporaryDirectory()
        try directory.write("tokenizer.json", "{}")
        try directory.write("model.onnx", TinyONNX.model(nodes: 1))
        let alone = try Checkpoint(directory: directory.path).weightsSHA256()
        #expect(alone == "275f60c6d68bd3371d5c3836c682c2691fcf73bee0bbb8fbad082c75a0373d3f")

        try directory.write("data", "abc")
        try directory.write("model.onnx", TinyONNX.model(nodes: 1, graph: TinyONNX.field(5, TinyONNX.external([("location", "data")]))))
        let both = try Checkpoint(directory: directory.path).weightsSHA256()
        #expect(both == "2b602e27594e9ce2b66b309e4f38d8956f81e6b7a8806ad4a5354ee92a414d79")
    }
}
