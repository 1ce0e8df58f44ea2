/// A parameter or a column in PostgreSQL's binary format: numbers are big-endian.
enum PostgresValue: Sendable {
    case null
    case integer(Int64)
    case bytes([UInt8])
    case text(String)
    /// An array of byte strings, nil for null.
    case byteStrings([[UInt8]?])
    case integers([Int64])

    /// The type's number in PostgreSQL's catalogue (`pg_type.dat`).
    var type: UInt32 {
        switch self {
        case .null: 0
        case .integer: 20
        case .bytes: 17
        case .text: 25
        case .byteStrings: 1001
        case .integers: 1016
        }
    }

    /// Nil for null.
    var encoded: [UInt8]? {
        switch self {
        case .null: nil
        case .integer(let number): Self.bigEndian(number)
        case .bytes(let bytes): bytes
        case .text(let text): Array(text.utf8)
        case .byteStrings(let elements): Self.array(elements, of: 17)
        case .integers(let elements): Self.array(elements.map { Self.bigEndian($0) }, of: 20)
        }
    }

    /// One dimension from 1 on: `array_send` of PostgreSQL's arrayfuncs.c.
    private static func array(_ elements: [[UInt8]?], of type: Int32) -> [UInt8] {
        var bytes = bigEndian(Int32(1)) + bigEndian(Int32(elements.contains { $0 == nil } ? 1 : 0)) + bigEndian(type)
        bytes += bigEndian(Int32(clamping: elements.count)) + bigEndian(Int32(1))
        for element in elements {
            guard let element else {
                bytes += bigEndian(Int32(-1))
                continue
            }
            bytes += bigEndian(Int32(clamping: element.count)) + element
        }
        return bytes
    }

    private static func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}

/// One row of an answer, its columns in their order; nil for null.
struct PostgresRow: Sendable {
    let columns: [[UInt8]?]

    func bytes(_ column: Int) -> [UInt8]? { column < columns.count ? columns[column] : nil }

    func text(_ column: Int) -> String? { bytes(column).map { String(decoding: $0, as: UTF8.self) } }

    /// Of 2, 4 or 8 bytes; nil for anything else.
    func integer(_ column: Int) -> Int? {
        guard let bytes = bytes(column), [2, 4, 8].contains(bytes.count) else { return nil }
        let bits = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch bytes.count {
        case 2: return Int(Int16(bitPattern: UInt16(bits)))
        case 4: return Int(Int32(bitPattern: UInt32(bits)))
        default: return Int(Int64(bitPattern: bits))
        }
    }
}
