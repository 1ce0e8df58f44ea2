/// A tensor to be written, its element values those of a counter, so that views can be told apart.
struct TinyTensor {
    var name: String
    var shape: [Int]
    var type = "F32"

    var byteCount: Int { shape.reduce(1, *) * (type == "F32" ? 4 : 2) }
}

/// Writes safetensors files by the format's description, independently of the reader under test.
enum TinyWeights {
    static func file(_ tensors: [TinyTensor]) -> [UInt8] {
        var entries: [String] = [#""__metadata__":{"format":"pt"}"#]
        var data: [UInt8] = []
        for (index, tensor) in tensors.enumerated() {
            let start = data.count
            data += [UInt8](repeating: UInt8(truncatingIfNeeded: index + 1), count: tensor.byteCount)
            entries.append(
                #""\#(tensor.name)":{"dtype":"\#(tensor.type)","shape":\#(tensor.shape),"data_offsets":[\#(start),\#(data.count)]}"#)
        }
        return file(header: "{\(entries.joined(separator: ","))}", data: data)
    }

    static func file(header: String, data: [UInt8] = []) -> [UInt8] {
        length(UInt64(header.utf8.count)) + Array(header.utf8) + data
    }

    static func length(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
