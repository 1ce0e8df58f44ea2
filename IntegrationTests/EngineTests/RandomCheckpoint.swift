import Foundation
import Testing

/// The smallest generated BERT with as many layers as wanted, each of random weights of its own.
struct RandomCheckpoint: ~Copyable {
    let directory: URL

    init(layers: Int) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-random-\(UUID().uuidString)")
        let tiny = TinyCheckpoint.fixtures.appendingPathComponent("bert-mean")
        try FileManager.default.copyItem(at: tiny, to: directory)
        let configuration = directory.appendingPathComponent("config.json")
        var keys = try Self.object(try Data(contentsOf: configuration))
        keys["num_hidden_layers"] = layers
        try JSONSerialization.data(withJSONObject: keys).write(to: configuration)
        let file = directory.appendingPathComponent("model.safetensors")
        let shapes = try Self.shapes(try Data(contentsOf: file))
        var all = shapes.filter { !$0.key.contains("layer.") }
        for (name, shape) in shapes where name.contains("layer.0.") {
            for layer in 0..<layers { all[name.replacingOccurrences(of: "layer.0.", with: "layer.\(layer).")] = shape }
        }
        try Self.write(all, to: file)
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    private static func object(_ data: Data) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private static func shapes(_ bytes: Data) throws -> [String: [Int]] {
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var shapes: [String: [Int]] = [:]
        for (name, value) in try object(bytes.subdata(in: 8..<(8 + length))) where name != "__metadata__" {
            shapes[name] = try #require((value as? [String: Any])?["shape"] as? [Int])
        }
        return shapes
    }

    private static func write(_ shapes: [String: [Int]], to file: URL) throws {
        var header: [String: Any] = [:]
        var data = Data()
        for (number, (name, shape)) in shapes.sorted(by: { $0.key < $1.key }).enumerated() {
            let isGain = name.hasSuffix("LayerNorm.weight")
            let values = numbers(shape.reduce(1, *), seed: UInt64(number + 1), isGain ? 0.2 : 0.3).map { isGain ? 1 + $0 : $0 }
            let bytes = values.withUnsafeBytes { Data($0) }
            header[name] = ["dtype": "F32", "shape": shape, "data_offsets": [data.count, data.count + bytes.count]]
            data += bytes
        }
        var json = try JSONSerialization.data(withJSONObject: header)
        json += Data(repeating: 0x20, count: (8 - json.count % 8) % 8)
        try (withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json + data).write(to: file)
    }
}
