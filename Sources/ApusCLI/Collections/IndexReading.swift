import ApusErrors
import Foundation

/// What is to be indexed: found to be there before a model is loaded.
enum IndexReading: Sendable {
    case lines(SourceFile)
    case objects(SourceFile, JSONLineFields)
    /// Files to cut into chunks; the name of each is what its chunks are called by.
    case texts([(path: String, name: String)])

    /// Throws `file_unreadable` for a source that is not there and for a folder without texts.
    init(_ path: String, format: IndexFormat?, fields: JSONLineFields) throws(ApusError) {
        var isFolder: ObjCBool = false
        if path != "-" {
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw ApusError(.fileUnreadable, "there is no such file or folder", place: path)
            }
        }
        if isFolder.boolValue {
            guard format == nil || format == .text else {
                throw ApusError(.invalidValue, "the files of a folder are read as text", place: "--format")
            }
            self = .texts(try Self.files(below: path))
            return
        }
        let name = path == "-" ? "stdin" : URL(fileURLWithPath: path).lastPathComponent
        switch format ?? Self.format(of: name) {
        case .lines: self = .lines(try SourceFile(path: path, name: name))
        case .jsonl: self = .objects(try SourceFile(path: path, name: name), fields)
        case .text: self = .texts([(path, name)])
        }
    }

    /// Texts or files there are.
    var total: Int {
        switch self {
        case .lines(let file), .objects(let file, _): file.lineCount
        case .texts(let files): files.count
        }
    }

    var unit: String {
        switch self {
        case .lines, .objects: "lines"
        case .texts: "files"
        }
    }

    private static func format(of name: String) -> IndexFormat {
        let name = name.lowercased()
        if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") { return .jsonl }
        return name.hasSuffix(".md") || name.hasSuffix(".markdown") ? .text : .lines
    }

    /// The text files below a folder, in the order of their names' bytes; hidden ones are left out.
    private static func files(below folder: String) throws(ApusError) -> [(path: String, name: String)] {
        guard let names = FileManager.default.enumerator(atPath: folder) else {
            throw ApusError(.fileUnreadable, "the folder cannot be read", place: folder)
        }
        var files: [(path: String, name: String)] = []
        while let name = names.nextObject() as? String {
            let isHidden = name.split(separator: "/").contains { $0.hasPrefix(".") }
            let lower = name.lowercased()
            guard !isHidden, lower.hasSuffix(".txt") || lower.hasSuffix(".md") || lower.hasSuffix(".markdown") else { continue }
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: "\(folder)/\(name)", isDirectory: &isFolder), !isFolder.boolValue else { continue }
            files.append(("\(folder)/\(name)", name))
        }
        guard !files.isEmpty else {
            throw ApusError(.fileUnreadable, "there are no .txt and .md files below the folder", place: folder)
        }
        return files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
}
