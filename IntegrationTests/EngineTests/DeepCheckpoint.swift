import Foundation
import Testing

/// A tiny checkpoint with six layers: its own two, over and over in an order that a mix-up of stages would change.
struct DeepCheckpoint: ~Copyable {
    static let layers = 6
    /// Which of the two layers each of the six is.
    private static let order = [0, 1, 1, 0, 1, 0]

    let directory: URL

    init(_ tiny: TinyCheckpoint) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-deep-\(UUID().uuidString)")
        try FileManager.default.copyItem(atPath: tiny.directory, toPath: directory.path)
        let configuration = directory.appendingPathComponent("config.json")
        var keys = try Self.object(Data(contentsOf: configuration))
        for key in ["num_hidden_layers", "n_layers"] where keys[key] != nil { keys[key] = Self.layers }
        try JSONSerialization.data(withJSONObject: keys).write(to: configuration)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasSuffix(".safetensors") }
        var tensors: [String: (entry: [String: Any], data: Data)] = [:]
        for file in files {
            let url = directory.appendingPathComponent(file)
            tensors.merge(try Self.read(url)) { first, _ in first }
            try FileManager.default.removeItem(at: url)
        }
        try? FileManager.default.removeItem(at: directory.appendingPathComponent("model.safetensors.index.json"))
        try Self.write(tensors, to: directory.appendingPathComponent("model.safetensors"))
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    private static func object(_ data: Data) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private static func read(_ file: URL) throws -> [String: (entry: [String: Any], data: Data)] {
        let bytes = try Data(contentsOf: file)
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var tensors: [String: (entry: [String: Any], data: Data)] = [:]
        for (name, value) in try object(bytes.subdata(in: 8..<(8 + length))) where name != "__metadata__" {
            let entry = try #require(value as? [String: Any])
            let offsets = try #require(entry["data_offsets"] as? [Int])
            tensors[name] = (entry, bytes.subdata(in: (8 + length + offsets[0])..<(8 + length + offsets[1])))
        }
        return tensors
    }

    private static func write(_ tensors: [String: (entry: [String: Any], data: Data)], to file: URL) throws {
        var header: [String: Any] = [:]
        var data = Data()
        func add(_ name: String, _ entry: [String: Any], _ bytes: Data) {
            var entry = entry
            entry["data_offsets"] = [data.count, data.count + bytes.count]
            header[name] = entry
            data += bytes
        }
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            guard let layer = [0, 1].first(where: { name.contains("layer.\($0).") }) else {
                add(name, tensor.entry, tensor.data)
                continue
            }
            for (place, source) in order.enumerated() where source == layer {
                add(name.replacingOccurrences(of: "layer.\(layer).", with: "layer.\(place)."), tensor.entry, tensor.data)
            }
        }
        var json = try JSONSerialization.data(withJSONObject: header)
        // Tensors begin at a multiple of 8, as safetensors' own writer has it.
        json += Data(repeating: 0x20, count: (8 - json.count % 8) % 8)
        try (withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json + data).write(to: file)
    }
}
