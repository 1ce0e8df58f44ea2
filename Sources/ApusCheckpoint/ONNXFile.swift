package import ApusErrors
package import ApusTensor

/// An ONNX model file whose structure and external data were checked; the engine reads it by its path.
package struct ONNXFile: Sendable, Hashable {
    package let path: String
    /// The files beside it that hold tensors, sorted; empty for a model in one file.
    package let externalFiles: [String]
    /// What the weights are stored in, which is what the network computes in: the narrowest kind of number among them.
    package let precision: Precision

    /// - Throws: `.fileUnreadable`, or `.invalidCheckpoint` for a file that is no ONNX model or points where it must not.
    package init(path: String) throws(ApusError) {
        let file = try MappedFile(path: path)
        guard !file.bytes.isEmpty else { throw ApusError(.invalidCheckpoint, "the file is empty", place: path) }
        let scan: ONNXScan
        do throws(ProtobufReader.Malformed) {
            scan = try ONNXScan(file.bytes)
        } catch {
            throw ApusError(.invalidCheckpoint, "the file is no ONNX model, or cut short", place: path)
        }
        guard scan.hasVersion, scan.nodeCount > 0 else {
            throw ApusError(.invalidCheckpoint, "the file is no ONNX model: it has no version or no graph", place: path)
        }
        var checked: [String: ExternalFile] = [:]
        for data in scan.externalData {
            let place = "\(path): tensor \(data.tensor.debugDescription)"
            let reference = try ExternalReference(data.entries, place: place)
            let external: ExternalFile
            if let known = checked[reference.location] {
                external = known
            } else {
                external = try ExternalFile(reference.location, besideModel: path, place: place)
                checked[reference.location] = external
            }
            try reference.requireWithin(external.byteCount, place: place)
        }
        self.path = path
        precision = Self.precision(scan.dataTypes)
        externalFiles = checked.values.map(\.path).sorted()
    }

    /// Data types are those of `TensorProto.DataType`.
    private static func precision(_ dataTypes: Set<UInt64>) -> Precision {
        if !dataTypes.isDisjoint(with: [21, 22]) { return .int4 }
        if !dataTypes.isDisjoint(with: [2, 3]) { return .int8 }
        if dataTypes.contains(16) { return .bf16 }
        return dataTypes.contains(10) ? .fp16 : .fp32
    }
}

/// One tensor's `external_data`, its numbers parsed.
private struct ExternalReference {
    let location: String
    let offset: Int
    let length: Int?

    init(_ entries: [(key: String, value: String)], place: String) throws(ApusError) {
        func value(_ key: String) throws(ApusError) -> String? {
            let values = entries.filter { $0.key == key }
            guard values.count <= 1 else {
                throw ApusError(.invalidCheckpoint, "external data has two values for '\(key)'", place: place)
            }
            return values.first?.value
        }
        func number(_ key: String) throws(ApusError) -> Int? {
            guard let text = try value(key) else { return nil }
            guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int(text) else {
                throw ApusError(.invalidCheckpoint, "external data has \(text.debugDescription) as '\(key)'", place: place)
            }
            return number
        }
        guard let location = try value("location") else {
            throw ApusError(.invalidCheckpoint, "external data names no file", place: place)
        }
        self.location = location
        offset = try number("offset") ?? 0
        length = try number("length")
    }

    func requireWithin(_ byteCount: Int, place: String) throws(ApusError) {
        let (end, overflow) = offset.addingReportingOverflow(length ?? 0)
        guard !overflow, end <= byteCount else {
            throw ApusError(
                .invalidCheckpoint,
                "external data from byte \(offset) of length \(length.map(String.init) ?? "unknown") lies past the end of \(location) (\(byteCount) bytes)",
                place: place)
        }
    }
}

/// A file that holds tensors of an ONNX model, found where it may be.
private struct ExternalFile {
    let path: String
    let byteCount: Int

    /// Absolute paths, `..`, links out of the model's folder, pipes and devices are refused, and files with a second name, since
    /// a hard link brings any file of the file system into the folder.
    init(_ location: String, besideModel model: String, place: String) throws(ApusError) {
        func fault(_ what: String) -> ApusError {
            ApusError(
                .invalidCheckpoint, "external data \(location.debugDescription) \(what)", place: place,
                advice: "Keep the data in a regular file of its own in the model's folder")
        }
        let components = location.split(separator: "/", omittingEmptySubsequences: false)
        guard !location.isEmpty, !location.utf8.contains(0), !components.contains(where: { ["", ".", ".."].contains($0) }) else {
            throw fault("is not a relative path below the model's folder")
        }
        let folder = model.lastIndex(of: "/").map { String(model[...$0]) } ?? "./"
        guard let base = ModelDirectory.resolved(folder), let target = ModelDirectory.resolved(folder + location) else {
            throw fault("does not exist")
        }
        guard target.hasPrefix(base == "/" ? base : base + "/") else { throw fault("is a link that leaves the model's folder") }
        let file: RegularFile
        do throws(ApusError) {
            file = try RegularFile.open(target)
        } catch {
            throw fault("cannot be used: \(error.message)")
        }
        guard file.linkCount == 1 else { throw fault("has more than one name (hard links)") }
        path = target
        byteCount = file.byteCount
    }
}
