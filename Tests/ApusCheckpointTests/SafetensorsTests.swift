import ApusCheckpoint
import ApusErrors
import ApusTensor
import Testing

struct SafetensorsTests {
    private func error(_ bytes: [UInt8]) throws -> ApusError? {
        let directory = try TemporaryDirectory()
        try TinyModel(type: "bert").write(to: directory)
        try directory.write("model.safetensors", bytes)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place?.contains("model.safetensors") == true)
        return error
    }

    @Test(arguments: [
        [], [1, 2, 3], TinyWeights.length(.max), TinyWeights.length(100_000_001), TinyWeights.length(1_000) + Array("{}".utf8),
        TinyWeights.length(1 << 63), TinyWeights.length(0),
        TinyWeights.file(header: " {}"), TinyWeights.file(header: "[]"), TinyWeights.file(header: "{"), TinyWeights.file(header: #"{"a":1,}"#),
        TinyWeights.file(header: "{}", data: [0]), TinyWeights.file(header: #"{"__metadata__":{"a":1}}"#),
        TinyWeights.file(header: #"{"__metadata__":[]}"#),
    ] as [[UInt8]])
    func `files that break the format are refused`(_ bytes: [UInt8]) throws {
        _ = try error(bytes)
    }

    @Test(arguments: [
        (#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#, 4, "takes 8 bytes"),
        (#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, 4, "cut short"),
        (#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#, 4, "ascending"),
        (#"{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}"#, 4, "ascending"),
        (#"{"dtype":"F32","shape":[1],"data_offsets":[0]}"#, 4, "two"),
        (#"{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775808]}"#, 4, "whole"),
        (#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#, 4, "negative"),
        (#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}"#, 0, "too large"),
        (#"{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}"#, 0, "too large"),
        (#"{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}"#, 4, "whole"),
        (#"{"dtype":"F31","shape":[1],"data_offsets":[0,4]}"#, 4, "F31"),
        (#"{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}"#, 4, "F8_E4M3"),
        (#"{"shape":[1],"data_offsets":[0,4]}"#, 4, "missing"),
        (#"{"dtype":"F32","data_offsets":[0,4]}"#, 4, "missing"),
        (#"{"dtype":"F32","shape":[1]}"#, 4, "missing"),
        (#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#, 8, "gap"),
        ("7", 0, "object"),
    ])
    func `a tensor that contradicts itself or the file is refused by its name`(_ row: (entry: String, dataCount: Int, message: String)) throws {
        let bytes = TinyWeights.file(header: #"{"odd one":\#(row.entry)}"#, data: [UInt8](repeating: 0, count: row.dataCount))
        let error = try error(bytes)
        #expect(error?.place?.contains("odd one") == true)
        #expect(error?.message.contains(row.message) == true)
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "overlap"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, "overlap"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#, 12, "gap"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5, "1 bytes follow"),
    ])
    func `overlaps, gaps and trailing bytes are refused`(_ row: (header: String, dataCount: Int, message: String)) throws {
        let error = try error(TinyWeights.file(header: row.header, data: [UInt8](repeating: 0, count: row.dataCount)))
        #expect(error?.message.contains(row.message) == true)
    }

    @Test func `a name that comes twice is refused`() throws {
        let entry = #""a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#
        let error = try error(TinyWeights.file(header: "{\(entry),\(entry)}"))
        #expect(error?.description.contains("twice") == true)
    }

    @Test func `a file cut short anywhere is refused`() throws {
        let whole = TinyWeights.file(TinyModel(type: "bert").tensors)
        for length in stride(from: 0, to: whole.count, by: 97) { _ = try error(Array(whole[..<length])) }
    }

    @Test func `views show shape, type and bytes of each tensor`() throws {
        let directory = try TemporaryDirectory()
        let model = TinyModel(type: "bert")
        try model.write(to: directory)
        let extra = [TinyTensor(name: "half", shape: [3], type: "F16"), TinyTensor(name: "scalar", shape: [])]
        try directory.write("model.safetensors", TinyWeights.file(model.tensors + extra))
        let checkpoint = try Checkpoint(directory: directory.path)
        guard case .encoder(_, let weights) = checkpoint.source else {
            Issue.record("an encoder is wanted")
            return
        }
        for (index, tensor) in (model.tensors + extra).enumerated() {
            let view = try #require(weights[tensor.name])
            #expect(view.shape == tensor.shape)
            #expect(view.elementType == (tensor.type == "F16" ? .float16 : .float32))
            #expect(view.bytes.count == tensor.byteCount)
            #expect(view.bytes.allSatisfy { $0 == UInt8(truncatingIfNeeded: index + 1) })
        }
        #expect(weights["absent"] == nil)
        #expect(weights.names.count == model.tensors.count + 2)
    }

    @Test func `shards are read as one store`() throws {
        let directory = try TemporaryDirectory()
        let model = TinyModel(type: "mpnet", prefix: "mpnet.")
        try model.write(to: directory)
        try directory.remove("model.safetensors")
        let half = model.tensors.count / 2
        let shards = [Array(model.tensors[..<half]), Array(model.tensors[half...])]
        var map: [String] = []
        for (index, shard) in shards.enumerated() {
            try directory.write("part-\(index).safetensors", TinyWeights.file(shard))
            map += shard.map { "\"\($0.name)\":\"part-\(index).safetensors\"" }
        }
        try directory.write("model.safetensors.index.json", #"{"metadata":{},"weight_map":{\#(map.joined(separator: ","))}}"#)
        let checkpoint = try Checkpoint(directory: directory.path)
        guard case .encoder(_, let weights) = checkpoint.source else {
            Issue.record("an encoder is wanted")
            return
        }
        #expect(weights.files.count == 2)
        #expect(weights["encoder.relative_attention_bias.weight"]?.shape == [32, 2])

        try directory.write("part-1.safetensors", TinyWeights.file(Array(shards[1].dropLast())))
        let missing = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(missing?.message.contains("encoder.layer.0.output.LayerNorm.bias") == true)
        try directory.write("part-1.safetensors", TinyWeights.file(shards[1] + [shards[0][0]]))
        let twice = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(twice?.message.contains("twice") == true)
    }

    @Test(arguments: [
        #"{"weight_map":{"a":"../model.safetensors"}}"#, #"{"weight_map":{"a":"/etc/passwd"}}"#, #"{"weight_map":{"a":".."}}"#,
        #"{"weight_map":{"a":""}}"#, #"{"weight_map":{"a":"x\u0000y"}}"#, #"{"weight_map":{"a":1}}"#, #"{"weight_map":{}}"#, "{}", "[]", "{",
    ])
    func `an index that leaves its folder or is malformed is refused`(_ index: String) throws {
        let directory = try TemporaryDirectory()
        try TinyModel(type: "bert").write(to: directory)
        try directory.remove("model.safetensors")
        try directory.write("model.safetensors.index.json", index)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place?.contains("model.safetensors.index.json") == true)
    }
}
