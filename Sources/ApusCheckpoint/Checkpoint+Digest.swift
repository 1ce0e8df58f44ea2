package import ApusErrors
import Crypto

extension Checkpoint {
    /// SHA-256 of the weights as 64 lowercase hexadecimal digits: of the file when there is one, else of all files' bytes one after the other,
    /// the transformer's in the order of their names and then those of the dense modules in the order of the modules.
    ///
    /// The files are read in pieces and not through the mapping, so that their pages do not count as this process's memory.
    package func weightsSHA256() throws(ApusError) -> String {
        try WeightFiles.sha256(weightFiles)
    }

    private var weightFiles: [String] {
        var paths: [String] =
            switch source {
            case .encoder(_, let weights): weights.files.map(\.path)
            case .onnx(let file): [file.path] + file.externalFiles
            }
        // A classifier's head lies in the transformer's files.
        if classifier == nil {
            for case .dense(let dense) in modules { paths.append(dense.weight.owner.path) }
        }
        return paths
    }
}

extension ONNXFile {
    /// SHA-256 of the file and then of those beside it that hold tensors, as 64 lowercase hexadecimal digits. Throws `file_unreadable`.
    package func sha256() throws(ApusError) -> String {
        try WeightFiles.sha256([path] + externalFiles)
    }
}

private enum WeightFiles {
    static func sha256(_ paths: [String]) throws(ApusError) -> String {
        var digest = SHA256()
        for path in paths { try add(path, to: &digest) }
        let digits = Array("0123456789abcdef".utf8)
        let text = digest.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    private static let pieceSize = 1 << 20

    private static func add(_ path: String, to digest: inout SHA256) throws(ApusError) {
        let file = try RegularFile.open(path)
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
        defer { piece.deallocate() }
        var offset = 0
        while true {
            let count = try file.read(into: piece, at: offset)
            if count == 0 { return }
            digest.update(bufferPointer: UnsafeRawBufferPointer(rebasing: piece[0..<count]))
            offset += count
        }
    }
}
