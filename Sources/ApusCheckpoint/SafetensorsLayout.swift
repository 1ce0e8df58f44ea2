import ApusJSON
import ApusTensor

/// Where the tensors of a safetensors file to be written lie.
struct SafetensorsLayout {
    struct Tensor {
        let name: String
        let elementType: ElementType
        let shape: [Int]
        let byteCount: Int
    }

    /// The length, the header and the blanks after it.
    let header: [UInt8]
    /// Offset in the file by name.
    let offsets: [String: Int]

    /// Readers that map the file find every tensor at a multiple of its element's size: the data starts at a multiple of this, and
    /// types with large elements come first.
    private static let alignment = 64

    init(_ tensors: [Tensor], metadata: [(String, String)]) {
        let ordered = tensors.sorted { left, right in
            (-left.elementType.byteCount, left.name) < (-right.elementType.byteCount, right.name)
        }
        var json = JSONWriter()
        json.beginObject()
        json.key("__metadata__")
        json.beginObject()
        for (key, value) in metadata { json.member(key, value) }
        json.endObject()
        var places: [String: Int] = [:]
        var next = 0
        for tensor in ordered {
            places[tensor.name] = next
            json.key(tensor.name)
            json.beginObject()
            json.member("dtype", tensor.elementType.safetensorsName)
            json.key("shape")
            json.beginArray()
            for dimension in tensor.shape { json.integer(dimension) }
            json.endArray()
            json.key("data_offsets")
            json.beginArray()
            json.integer(next)
            next += tensor.byteCount
            json.integer(next)
            json.endArray()
            json.endObject()
        }
        json.endObject()
        var text = json.bytes
        let excess = (8 + text.count) % Self.alignment
        if excess > 0 { text += repeatElement(UInt8(ascii: " "), count: Self.alignment - excess) }
        let start = 8 + text.count
        header = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
        offsets = places.mapValues { start + $0 }
    }
}
