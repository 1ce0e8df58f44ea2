import ApusErrors
import ApusJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A folder of model files, and how its small JSON files are read.
struct ModelDirectory {
    let path: String

    /// The largest JSON file of settings that is read. Vocabularies are not read here.
    private static let jsonLimit = 16 << 20

    /// - Throws: `.fileUnreadable` when `path` is not a folder.
    init(_ path: String) throws(ApusError) {
        var status = stat()
        guard !path.utf8.contains(0), stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw ApusError(
                .fileUnreadable, "there is no such model directory", place: path,
                advice: "Give the folder that holds config.json, tokenizer.json and model.safetensors")
        }
        self.path = path
    }

    /// The last component, links and dots resolved only when there is no other name.
    var name: String {
        let last = Self.lastComponent(path)
        guard ["", ".", ".."].contains(last), let resolved = Self.resolved(path) else { return last }
        return Self.lastComponent(resolved)
    }

    func file(_ name: String) -> String {
        path.utf8.last == UInt8(ascii: "/") ? path + name : path + "/" + name
    }

    /// Whether something has that name, of whatever kind.
    func has(_ name: String) -> Bool {
        access(file(name), F_OK) == 0
    }

    /// The folder `name` below this one.
    /// - Throws: `.invalidCheckpoint` when `name` is more than a plain name.
    func subdirectory(_ name: String, namedBy place: String) throws(ApusError) -> ModelDirectory {
        if name.isEmpty { return self }
        try Self.requirePlainName(name, place: place)
        return try ModelDirectory(file(name))
    }

    /// The names of the regular and other entries in this folder, sorted.
    func names() -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Reads a JSON object. Errors name the file and the member.
    func json(_ name: String) throws(ApusError) -> JSONReader {
        try JSONReader(try jsonValue(name), place: file(name) + ": ", code: .invalidCheckpoint)
    }

    /// Reads a JSON object from a file that need not exist.
    func jsonIfPresent(_ name: String) throws(ApusError) -> JSONReader? {
        has(name) ? try json(name) : nil
    }

    func jsonValue(_ name: String) throws(ApusError) -> JSONValue {
        let bytes = try RegularFile.contents(of: file(name), limit: Self.jsonLimit)
        do throws(ApusError) {
            return try JSONValue(parsing: bytes)
        } catch {
            throw ApusError(.invalidCheckpoint, "the file is not valid JSON", place: file(name), cause: error)
        }
    }

    /// Accepts a name that stays within its folder.
    /// - Throws: `.invalidCheckpoint` for the empty name, `.`, `..` and names with a slash or a NUL.
    static func requirePlainName(_ name: String, place: String) throws(ApusError) {
        let isPlain = !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
        guard isPlain else {
            throw ApusError(
                .invalidCheckpoint, "\(name.debugDescription) must be the plain name of an entry in the same folder", place: place)
        }
    }

    /// The canonical absolute path, all links followed; nil when something on the way does not exist.
    static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func lastComponent(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? ""
    }
}
