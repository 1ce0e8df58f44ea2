import ApusErrors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The files of a model directory that a copy with other weights takes along.
struct ModelTree {
    private let home: ModelDirectory
    /// The transformer's folder below the model directory, with a slash; empty for the directory itself.
    private let transformer: String
    /// Paths below the model directory.
    let copied: [String]

    /// Folders that hold the network for other engines.
    private static let otherNetworks: Set<String> = ["onnx", "openvino", "coreml"]
    private static let otherWeights = [".bin", ".h5", ".msgpack", ".ot", ".onnx", ".onnx_data", ".gguf", ".pt", ".pth", ".mlmodel", ".tflite"]
    /// sentence-transformers has folders of one level, old checkpoints have the transformer in one of them.
    private static let deepest = 2
    private static let pieceSize = 1 << 20

    /// Lists the files; changes nothing.
    init(_ home: ModelDirectory, transformer: ModelDirectory) {
        self.home = home
        self.transformer = transformer.path == home.path ? "" : String(transformer.path.dropFirst(home.file("").count)) + "/"
        copied = Self.files(home, below: "", transformer: self.transformer, depth: 0)
    }

    /// The path below the model directory of a file in the transformer's folder.
    func transformerPath(_ name: String) -> String { transformer + name }

    private static func files(_ folder: ModelDirectory, below prefix: String, transformer: String, depth: Int) -> [String] {
        var files: [String] = []
        for name in folder.names() where !name.hasPrefix(".") {
            if let inner = try? ModelDirectory(folder.file(name)) {
                guard depth + 1 < deepest, !otherNetworks.contains(name) else { continue }
                files += self.files(inner, below: prefix + name + "/", transformer: transformer, depth: depth + 1)
            } else if !otherWeights.contains(where: name.hasSuffix), !isWritten(name, prefix == transformer) {
                files.append(prefix + name)
            }
        }
        return files
    }

    /// Whether the copy has a file of its own in the place of this one.
    private static func isWritten(_ name: String, _ inTransformer: Bool) -> Bool {
        inTransformer && (name == "config.json" || name.hasSuffix(".safetensors") || name == WeightStore.indexFile)
    }

    /// Makes the folders of a copy.
    /// - Throws: `.fileUnwritable`, also when there is something in `path`.
    func makeTarget(_ path: String) throws(ApusError) -> ModelDirectory {
        try Self.makeFolder(path)
        let target = try ModelDirectory(path)
        guard target.names().isEmpty else {
            throw ApusError(
                .fileUnwritable, "the folder is not empty", place: path, advice: "Name a folder that does not exist, or empty this one")
        }
        let folders = Set((copied + [transformerPath("config.json")]).compactMap { path in
            path.lastIndex(of: "/").map { String(path[..<$0]) }
        })
        for folder in folders.sorted() { try Self.makeFolder(target.file(folder)) }
        return target
    }

    func copy(_ path: String, to target: ModelDirectory) throws(ApusError) {
        let source = try RegularFile.open(home.file(path))
        let file = try NewFile(path: target.file(path))
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceSize, alignment: 16)
        defer { piece.deallocate() }
        var offset = 0
        while true {
            let count = try source.read(into: piece, at: offset)
            if count == 0 { break }
            try file.write(UnsafeRawBufferPointer(rebasing: piece[0..<count]), at: offset)
            offset += count
        }
        try file.finish()
    }

    private static func makeFolder(_ path: String) throws(ApusError) {
        guard !path.utf8.contains(0), mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw ApusError(
                .fileUnwritable, "the folder cannot be made: \(String(cString: strerror(errno)))", place: path)
        }
    }
}
