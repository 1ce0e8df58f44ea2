import ApusErrors
import Foundation

/// The lines of a text file or of standard input.
enum TextLines {
    /// Lines end with LF or CRLF; the last needs no end. An empty line is an empty text.
    ///
    /// Throws `file_unreadable` when there is no such file or a line is not UTF-8.
    static func read(_ path: String) throws(ApusError) -> [String] {
        let name = path == "-" ? "standard input" : path
        let handle: FileHandle
        if path == "-" {
            handle = .standardInput
        } else {
            guard let opened = FileHandle(forReadingAtPath: path) else {
                throw ApusError(.fileUnreadable, "the file cannot be opened: \(String(cString: strerror(errno)))", place: path)
            }
            handle = opened
        }
        let data: Data
        do {
            data = try handle.readToEnd() ?? Data()
        } catch {
            throw ApusError(.fileUnreadable, "the file cannot be read", place: name, cause: error)
        }
        var lines: [String] = []
        var rest = data[...]
        while !rest.isEmpty {
            var line = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest.dropFirst(line.count + 1)
            if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
            guard let text = String(validating: line, as: UTF8.self) else {
                throw ApusError(
                    .fileUnreadable, "line \(lines.count + 1) is not UTF-8", place: name, advice: "Convert the file to UTF-8")
            }
            lines.append(text)
        }
        return lines
    }
}
