import ApusJSON
import Logging

/// One log event, ready to be spelled.
struct LogLine {
    let time: LogTime
    let level: Logger.Level
    let label: String
    let message: String
    let metadata: Logger.Metadata

    /// For people.
    var text: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(contentsOf: time.description.utf8)
        let name = level.rawValue.uppercased()
        bytes.append(contentsOf: " \(name)\(String(repeating: " ", count: max(0, 8 - name.utf8.count))) \(label): ".utf8)
        Self.appendEscaped(message, to: &bytes)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            bytes.append(UInt8(ascii: " "))
            Self.appendEscaped(key, to: &bytes)
            bytes.append(UInt8(ascii: "="))
            Self.appendEscaped(value.description, to: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// For programs. Keys of the metadata stand in an object of their own, so that none can pass for the time or the level.
    var json: [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("time", time.description)
        writer.member("level", level.rawValue)
        writer.member("label", label)
        writer.member("message", message)
        if !metadata.isEmpty {
            writer.key("metadata")
            writer.beginObject()
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
                writer.key(key)
                writer.string(value.description)
            }
            writer.endObject()
        }
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// C0 and C1 controls, the line and paragraph separators and the marks that reorder text are written as `\n`, `\r`, `\t`
    /// or `\u{…}`.
    static func appendEscaped(_ text: String, to bytes: inout [UInt8]) {
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
            case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
            case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
            case 0x00...0x1F, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069:
                bytes.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".utf8)
            default:
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }
}
