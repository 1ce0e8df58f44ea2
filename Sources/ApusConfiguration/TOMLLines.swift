// Own because TOMLKit keeps no positions and stops at the first key written twice. This is no second parser: it follows headers, keys and
// the extent of values, leaves what it does not understand to TOMLKit's errors, and is asked for nothing but lines; except for headers
// without a name, brackets that do not match, and dates, some of which meet assertions of TOMLKit 0.6.0 that end the process.

/// The lines of the keys in a TOML text.
struct TOMLLines {
    struct Duplicate {
        let path: String
        let line: Int
        let firstLine: Int
    }

    private(set) var duplicates: [Duplicate] = []
    /// The lines of headers without a name.
    private(set) var namelessHeaders: [Int] = []
    /// The lines of keys whose value has brackets that do not match.
    private(set) var unmatchedBrackets: [Int] = []
    /// The lines of keys whose value has a date or time, which no setting takes.
    private(set) var dates: [Int] = []

    private enum Value {
        case sound
        case unmatched
        case date
    }
    private var lines: [String: Int] = [:]
    private var bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var table = ""
    /// How many elements each array of tables has so far.
    private var arrayCounts: [String: Int] = [:]

    init(_ text: String) {
        bytes = Array(text.utf8)
        scan()
    }

    /// The line where a key or table is written, `gpu.batch.max_size`, `models[1].path`; nil for keys within inline tables.
    func line(of path: String) -> Int? { lines[path] }

    /// The text with blanks in the place of all that is listed above, so that all lines stay where they are.
    var soundText: String { String(decoding: bytes, as: UTF8.self) }

    private mutating func scan() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
            case UInt8(ascii: "\n"):
                line += 1
                position += 1
            case UInt8(ascii: "#"): skipLine()
            case UInt8(ascii: "["): scanHeader()
            default: scanKeyAndValue()
            }
        }
    }

    private mutating func scanHeader() {
        let start = position
        let startLine = line
        let isArray = position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "[")
        position += isArray ? 2 : 1
        let parts = scanKey()
        skipLine()
        guard !parts.isEmpty else {
            namelessHeaders.append(startLine)
            skipSection()
            return blank(from: start)
        }
        var path = ""
        for (index, part) in parts.enumerated() {
            path += path.isEmpty ? part : "." + part
            let isLast = index == parts.count - 1
            if isLast, isArray {
                arrayCounts[path, default: 0] += 1
                if lines[path] == nil { lines[path] = startLine }
            }
            if let count = arrayCounts[path], !isLast || isArray { path += "[\(count - 1)]" }
        }
        table = path
        if let firstLine = lines[path] {
            duplicates.append(Duplicate(path: path, line: startLine, firstLine: firstLine))
            skipSection()
            blank(from: start)
        } else {
            lines[path] = startLine
        }
    }

    /// Moves to the next header or the end.
    private mutating func skipSection() {
        while position < bytes.count, bytes[position] != UInt8(ascii: "[") {
            switch bytes[position] {
            case UInt8(ascii: "\n"):
                line += 1
                position += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
            case UInt8(ascii: "#"): skipLine()
            default:
                _ = scanKey()
                _ = skipValue()
            }
        }
    }

    private mutating func scanKeyAndValue() {
        let start = position
        let startLine = line
        let parts = scanKey()
        guard !parts.isEmpty, position < bytes.count, bytes[position] == UInt8(ascii: "=") else { return skipLine() }
        switch skipValue() {
        case .sound: break
        case .unmatched:
            unmatchedBrackets.append(startLine)
            return blank(from: start)
        case .date:
            dates.append(startLine)
            return blank(from: start)
        }
        let path = ([table] + parts).filter { !$0.isEmpty }.joined(separator: ".")
        if let firstLine = lines[path] {
            duplicates.append(Duplicate(path: path, line: startLine, firstLine: firstLine))
            blank(from: start)
        } else {
            lines[path] = startLine
        }
    }

    /// Reads a dotted key of bare and quoted parts; empty when there is none.
    private mutating func scanKey() -> [String] {
        var parts: [String] = []
        while position < bytes.count {
            skipBlanks()
            guard position < bytes.count else { break }
            let quote = bytes[position]
            let start = position
            if quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
                position += 1
                while position < bytes.count, bytes[position] != quote, bytes[position] != UInt8(ascii: "\n") { position += 1 }
                parts.append(String(decoding: bytes[start + 1..<position], as: UTF8.self))
                if position < bytes.count, bytes[position] == quote { position += 1 }
            } else {
                while position < bytes.count, Self.isBare(bytes[position]) { position += 1 }
                guard position > start else { return [] }
                parts.append(String(decoding: bytes[start..<position], as: UTF8.self))
            }
            skipBlanks()
            guard position < bytes.count, bytes[position] == UInt8(ascii: ".") else { break }
            position += 1
        }
        return parts
    }

    /// Moves behind a value: to the end of the line on which no bracket or string is open.
    private mutating func skipValue() -> Value {
        var open: [UInt8] = []
        var result = Value.sound
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\n"):
                if open.isEmpty { return result }
                line += 1
                position += 1
            case UInt8(ascii: "#"): skipLine()
            case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString()
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                open.append(byte)
                position += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                // In ASCII a closing bracket stands two behind its opening one.
                if open.popLast() != byte - 2 { result = .unmatched }
                position += 1
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"):
                if skipNumber(), result == .sound { result = .date }
            default: position += 1
            }
        }
        return open.isEmpty ? result : .unmatched
    }

    /// Moves behind a word that starts like a number.
    /// - Returns: whether it looks like a date or time: digits before a hyphen, or a colon anywhere.
    private mutating func skipNumber() -> Bool {
        let start = position
        let ends = Array(" \t\r\n,]}#".utf8)
        while position < bytes.count, !ends.contains(bytes[position]) { position += 1 }
        let word = bytes[start..<position]
        let afterDigits = word.drop { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return word.contains(UInt8(ascii: ":")) || afterDigits.count < word.count && afterDigits.first == UInt8(ascii: "-")
    }

    private mutating func skipString() {
        let quote = bytes[position]
        let isLong = bytes[position...].prefix(3).elementsEqual([quote, quote, quote])
        position += isLong ? 3 : 1
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), position + 1 < bytes.count, bytes[position + 1] != UInt8(ascii: "\n") {
                position += 2
            } else if byte == UInt8(ascii: "\n") {
                guard isLong else { return }
                line += 1
                position += 1
            } else if byte == quote, !isLong || bytes[position...].prefix(3).elementsEqual([quote, quote, quote]) {
                position += isLong ? 3 : 1
                return
            } else {
                position += 1
            }
        }
    }

    private mutating func skipLine() {
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
    }

    private mutating func skipBlanks() {
        while position < bytes.count, bytes[position] == UInt8(ascii: " ") || bytes[position] == UInt8(ascii: "\t") { position += 1 }
    }

    private mutating func blank(from start: Int) {
        for index in start..<position where bytes[index] != UInt8(ascii: "\n") { bytes[index] = UInt8(ascii: " ") }
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
