import ApusErrors
import Foundation

/// A file of text, or standard input, as bytes that lines and chunks are cut from.
struct SourceFile: Sendable {
    /// What errors and ids call it.
    let name: String
    let data: Data

    /// Throws `file_unreadable`.
    init(path: String, name: String) throws(ApusError) {
        self.name = name
        do {
            data = path == "-" ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        } catch {
            throw ApusError(.fileUnreadable, "the file cannot be read", place: path, cause: error)
        }
    }

    /// The text of a part of the file. Throws `file_unreadable`, naming the byte, where it is not UTF-8.
    func text(_ range: Range<Int>) throws(ApusError) -> String {
        let bytes = data[data.startIndex + range.lowerBound..<data.startIndex + range.upperBound]
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ApusError(
                .fileUnreadable, "byte \(range.lowerBound + Self.validBytes(bytes)) of the file is not UTF-8", place: name,
                advice: "Convert the file to UTF-8")
        }
        return text
    }

    /// The next line behind `offset`, without its end, LF or CRLF; nil at the end of the file.
    func line(from offset: Int) -> (range: Range<Int>, next: Int)? {
        guard offset < data.count else { return nil }
        let start = data.startIndex + offset
        let end = data[start...].firstIndex(of: UInt8(ascii: "\n")) ?? data.endIndex
        let last = end > start && data[end - 1] == UInt8(ascii: "\r") ? end - 1 : end
        return (offset..<last - data.startIndex, min(data.count, end - data.startIndex + 1))
    }

    var lineCount: Int {
        var (count, offset) = (0, 0)
        while let line = line(from: offset) { (count, offset) = (count + 1, line.next) }
        return count
    }

    /// Bytes in front of the first that is no part of a scalar.
    private static func validBytes(_ bytes: Data) -> Int {
        var parser = Unicode.UTF8.ForwardParser()
        var iterator = bytes.makeIterator()
        var count = 0
        while case .valid(let scalar) = parser.parseScalar(from: &iterator) { count += scalar.count }
        return count
    }
}
