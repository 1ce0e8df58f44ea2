/// A parameter or a column in PostgreSQL's binary format: numbers are big-endian.
enum PostgresValue: Sendable {
    case null
    case integer(Int64)
    case bytes([UInt8])
    case text(String)
    /// An array of byte strings, nil for null.
    case byteStrings([[UInt8]?])
    case integers([Int64])
    /// An array of texts as UTF-8, nil for null.
    case texts([[UInt8]?])
    /// A value of pgvector's type, which the command has to name: its number is another in each database.
    case vector([Float])
    /// An array of them.
    case vectors([[Float]], type: UInt32)

    /// The type's number in PostgreSQL's catalogue (`pg_type.dat`).
    var type: UInt32 {
        switch self {
        case .null: 0
        case .integer: 20
        case .bytes: 17
        case .text: 25
        case .byteStrings: 1001
        case .integers: 1016
        case .texts: 1009
        case .vector, .vectors: 0
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
        case .texts(let elements): Self.array(elements, of: 25)
        case .vector(let vector): Self.vector(vector)
        case .vectors(let vectors, let type): Self.array(vectors.map { Self.vector($0) }, of: Int32(bitPattern: type))
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

    /// `vector_send` of pgvector's vector.c: how many elements, two bytes that are zero, the elements.
    private static func vector(_ elements: [Float]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + elements.count * 4)
        bytes += bigEndian(Int16(clamping: elements.count)) + bigEndian(Int16(0))
        for element in elements { withUnsafeBytes(of: element.bitPattern.bigEndian) { bytes.append(contentsOf: $0) } }
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
