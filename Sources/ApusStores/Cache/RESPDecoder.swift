import NIOCore

// Hand-written: no client library for Redis can be reached from this project's package sources, and of the protocol a cache needs five commands
// and six kinds of answer. RESP2 is spoken because every Redis and every Valkey does; RESP3 would add nothing here.

/// Bytes of a Redis server to answers, each when all of it has come. Throws ``RESPFault`` for anything else, with which the connection is of no
/// more use: nobody knows where the next answer begins.
struct RESPDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = RESPValue

    /// Bytes of a line: an error's text, a number.
    private static let longestLine = 4_096
    /// Bytes of one value: 16 times the longest vector's.
    static let longestBulk = 1 << 20
    /// Elements of one answer, those of arrays in arrays included.
    private static let mostElements = 4_096
    private static let deepest = 4

    func decode(buffer: inout ByteBuffer) throws -> RESPValue? {
        let start = buffer.readerIndex
        var budget = Self.mostElements
        if let value = try Self.value(&buffer, depth: 0, &budget) { return value }
        buffer.moveReaderIndex(to: start)
        return nil
    }

    func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> RESPValue? {
        try decode(buffer: &buffer)
    }

    private static func value(_ buffer: inout ByteBuffer, depth: Int, _ budget: inout Int) throws -> RESPValue? {
        guard depth < deepest else { throw RESPFault("arrays lie in arrays more than \(deepest) deep") }
        guard budget > 0 else { throw RESPFault("an answer has more than \(mostElements) elements") }
        budget -= 1
        guard let kind = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
        guard kinds.contains(kind) else { throw RESPFault("an answer begins with the byte \(kind)") }
        guard let line = try line(&buffer) else { return nil }
        switch kind {
        case UInt8(ascii: "+"): return .simple(String(decoding: line, as: UTF8.self))
        case UInt8(ascii: "-"): return .error(String(decoding: line, as: UTF8.self))
        case UInt8(ascii: ":"): return .integer(try number(line))
        case UInt8(ascii: "_"):
            guard line.isEmpty else { throw RESPFault("a null has a value") }
            return .null
        case UInt8(ascii: "$"): return try bulk(&buffer, try number(line))
        default: return try array(&buffer, try number(line), depth: depth, &budget)
        }
    }

    private static func bulk(_ buffer: inout ByteBuffer, _ length: Int64) throws -> RESPValue? {
        if length == -1 { return .null }
        guard (0...Int64(longestBulk)).contains(length) else { throw RESPFault("a value has \(length) bytes") }
        let length = Int(length)
        guard buffer.readableBytes >= length + 2 else { return nil }
        guard let bytes = buffer.readBytes(length: length), buffer.readBytes(length: 2) == lineEnd else {
            throw RESPFault("a value is longer than it says")
        }
        return .bulk(bytes)
    }

    private static func array(_ buffer: inout ByteBuffer, _ count: Int64, depth: Int, _ budget: inout Int) throws -> RESPValue? {
        if count == -1 { return .null }
        guard (0...Int64(mostElements)).contains(count) else { throw RESPFault("an array has \(count) elements") }
        var elements: [RESPValue] = []
        for _ in 0..<count {
            guard let element = try value(&buffer, depth: depth + 1, &budget) else { return nil }
            elements.append(element)
        }
        return .array(elements)
    }

    /// What stands between the first byte and the end of the line; nil when that has not come.
    private static func line(_ buffer: inout ByteBuffer) throws -> [UInt8]? {
        let view = buffer.readableBytesView.prefix(longestLine)
        guard let end = view.firstIndex(of: lineEnd[1]) else {
            if view.count == longestLine { throw RESPFault("a line has no end") }
            return nil
        }
        let line = view[view.index(after: view.startIndex)..<end]
        guard line.last == lineEnd[0] else { throw RESPFault("a line does not end as lines do") }
        let text = Array(line.dropLast())
        buffer.moveReaderIndex(to: end + 1)
        return text
    }

    private static func number(_ line: [UInt8]) throws -> Int64 {
        let digits = line.first == UInt8(ascii: "-") ? line[1...] : line[...]
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int64(String(decoding: line, as: UTF8.self))
        else { throw RESPFault("a number is none") }
        return number
    }

    private static let lineEnd: [UInt8] = [13, 10]
    private static let kinds = Array("+-:_$*".utf8)
}
