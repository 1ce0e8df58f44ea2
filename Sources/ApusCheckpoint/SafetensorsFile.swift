import ApusErrors
import ApusJSON
import ApusTensor

/// One safetensors file, mapped and its header checked.
///
/// The format: 8 bytes N little-endian, N bytes of JSON, then the tensors' bytes without gaps
/// (https://github.com/huggingface/safetensors, "Format"). Own because the only reader is a Rust library.
struct SafetensorsFile {
    let file: MappedFile
    let tensors: [TensorView]

    /// The format's own limit on N.
    private static let headerLimit = 100_000_000

    /// - Throws: `.fileUnreadable`, or `.invalidCheckpoint` for anything that the format does not allow.
    init(path: String) throws(ApusError) {
        file = try MappedFile(path: path)
        let bytes = file.bytes
        guard bytes.count >= 8 else {
            throw Self.fault("the file has \(bytes.count) bytes, fewer than the 8 of a safetensors length", path)
        }
        let headerSize = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard headerSize <= UInt64(Self.headerLimit) else {
            throw Self.fault("the header claims \(headerSize) bytes; the format allows \(Self.headerLimit)", path)
        }
        let dataStart = 8 + Int(headerSize)
        guard dataStart <= bytes.count else {
            throw Self.fault(
                "the header claims \(headerSize) bytes and the file has \(bytes.count): it is cut short or not a safetensors file", path)
        }
        let header = UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart])
        guard header.first == UInt8(ascii: "{") else { throw Self.fault("the header does not start with '{'", path) }
        let object: JSONObject
        do throws(ApusError) {
            object = try JSONValue(parsing: header).objectValue(at: "header")
        } catch {
            throw ApusError(.invalidCheckpoint, "the header is not valid JSON", place: path, cause: error)
        }
        tensors = try Self.tensors(object, in: file, data: UnsafeRawBufferPointer(rebasing: bytes[dataStart...]))
    }

    private static func tensors(
        _ header: JSONObject, in file: MappedFile, data: UnsafeRawBufferPointer
    ) throws(ApusError) -> [TensorView] {
        var placed: [(range: Range<Int>, view: TensorView)] = []
        for (name, value) in header.entries {
            let place = "\(file.path): tensor \(name.debugDescription)"
            if name.hasSameBytes(as: "__metadata__") {
                let metadata = try value.objectValue(at: "\(file.path): __metadata__", code: .invalidCheckpoint)
                for (key, value) in metadata.entries {
                    _ = try value.stringValue(at: "\(file.path): __metadata__.\(key)", code: .invalidCheckpoint)
                }
                continue
            }
            let reader = try JSONReader(value, place: place + ": ", code: .invalidCheckpoint)
            let typeName = try reader.string("dtype")
            guard let elementType = ElementType(safetensorsName: typeName) else {
                throw fault("element type \(typeName.debugDescription) is not known", place)
            }
            var shape: [Int] = []
            for dimension in try reader.array("shape") {
                shape.append(try dimension.integerValue(at: reader.place(of: "shape"), code: .invalidCheckpoint))
            }
            let range = try Self.range(reader, in: data.count)
            guard let size = ElementCount.bytes(of: shape, elementType) else {
                throw fault("shape \(shape) is negative or too large", place)
            }
            guard size == range.count else {
                throw fault("shape \(shape) of \(typeName) takes \(size) bytes, the offsets span \(range.count)", place)
            }
            let bytes = UnsafeRawBufferPointer(rebasing: data[range])
            placed.append((range, TensorView(name: name, elementType: elementType, shape: shape, bytes: bytes, owner: file)))
        }
        try requireContiguous(placed, through: data.count, file.path)
        return placed.map(\.view)
    }

    private static func range(_ reader: JSONReader, in dataCount: Int) throws(ApusError) -> Range<Int> {
        let place = reader.place(of: "data_offsets")
        var offsets: [Int] = []
        for value in try reader.array("data_offsets") {
            offsets.append(try value.integerValue(at: place, code: .invalidCheckpoint))
        }
        guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1] else {
            throw fault("two ascending offsets are wanted, not \(offsets)", place)
        }
        guard offsets[1] <= dataCount else {
            throw fault("the tensor ends at byte \(offsets[1]) of \(dataCount): the file is cut short", place)
        }
        return offsets[0]..<offsets[1]
    }

    /// Refuses overlaps, gaps and bytes after the last tensor: whatever no tensor names has no business in the file.
    private static func requireContiguous(
        _ placed: [(range: Range<Int>, view: TensorView)], through end: Int, _ path: String
    ) throws(ApusError) {
        var next = 0
        for (range, view) in placed.sorted(by: { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }) {
            guard range.lowerBound == next else {
                let what = range.lowerBound < next ? "overlaps the tensor before it" : "leaves a gap before it"
                throw fault("the tensor \(what)", "\(path): tensor \(view.name.debugDescription)")
            }
            next = range.upperBound
        }
        guard next == end else { throw fault("\(end - next) bytes follow the last tensor", path) }
    }

    private static func fault(_ message: String, _ place: String) -> ApusError {
        ApusError(.invalidCheckpoint, message, place: place)
    }
}
