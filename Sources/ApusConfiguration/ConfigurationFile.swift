import ApusErrors
import Foundation

/// One configuration file, parsed; the keys that were written twice are listed and only the first of each is in the tree.
struct ConfigurationFile {
    let name: String
    let root: ConfigurationNode
    let problems: [ConfigurationProblem]

    /// Hand-written files are far smaller.
    private static let sizeLimit = 1 << 20

    /// Reads a `.yaml`, `.yml` or `.toml` file.
    /// - Throws: `.fileUnreadable`, or `.invalidConfiguration` for another ending, too large a file or text that is not UTF-8.
    init(path: String) throws(ApusError) {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ApusError(.fileUnreadable, "the configuration file cannot be opened", place: path)
        }
        let data: Data
        do {
            data = try handle.read(upToCount: Self.sizeLimit + 1) ?? Data()
        } catch {
            throw ApusError(.fileUnreadable, "the configuration file cannot be read", place: path, cause: error)
        }
        guard data.count <= Self.sizeLimit else {
            throw ApusError(.invalidConfiguration, "the file has more than \(Self.sizeLimit) bytes", place: path)
        }
        guard let text = String(validating: data, as: UTF8.self), !text.utf8.contains(0) else {
            throw ApusError(.invalidConfiguration, "the file is not UTF-8 text", place: path)
        }
        try self.init(text: text, name: path)
    }

    /// - Parameter name: the file's name; its ending tells the format.
    init(text: String, name: String) throws(ApusError) {
        self.name = name
        switch name.split(separator: ".").last?.lowercased() {
        case "yaml", "yml": (root, problems) = YAMLDocument.parse(text, name: name)
        case "toml": (root, problems) = TOMLDocument.parse(text, name: name)
        default:
            throw ApusError(
                .invalidConfiguration, "the file's format is not known", place: name, advice: "Name it .yaml, .yml or .toml")
        }
    }
}
