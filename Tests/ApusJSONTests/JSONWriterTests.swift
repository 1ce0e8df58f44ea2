import ApusJSON
import Foundation
import Testing

struct JSONWriterTests {
    private func text(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter(capacity: 0)
        write(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test func `commas and colons stand where they belong`() {
        let result = text { writer in
            writer.beginObject()
            writer.key("a")
            writer.beginArray()
            writer.integer(1)
            writer.null()
            writer.beginArray()
            writer.endArray()
            writer.bool(false)
            writer.endArray()
            writer.key("b")
            writer.beginObject()
            writer.endObject()
            writer.key("c")
            writer.numbers([Float(1), 2])
            writer.key("d")
            writer.base64([Float]())
            writer.key("e")
            writer.number(0.5)
            writer.endObject()
        }
        #expect(result == #"{"a":[1,null,[],false],"b":{},"c":[1.0,2.0],"d":"","e":0.5}"#)
    }

    @Test func `every control character is escaped and reads back`() throws {
        let all = String(String.UnicodeScalarView((0..<0x100).compactMap { Unicode.Scalar($0) })) + "\u{2028}\u{1F600}"
        var writer = JSONWriter()
        writer.string(all)
        let controls = writer.bytes.filter { $0 < 0x20 }
        #expect(controls.isEmpty)
        #expect(try JSONValue(parsing: writer.bytes).stringValue(at: "").hasSameBytes(as: all))
        let escaped = text { $0.string("\u{1}\u{1F}\u{2028}/") }
        #expect(escaped == "\"\\u0001\\u001f\u{2028}/\"")
    }

    @Test func `non-finite numbers become null`() {
        let vector = text { $0.numbers([Float.nan, .infinity, -.infinity, 1]) }
        #expect(vector == "[null,null,null,1.0]")
        let double = text { $0.number(Double.nan) }
        #expect(double == "null")
        let single = text { $0.number(-Float.infinity) }
        #expect(single == "null")
    }

    @Test func `random floats of every magnitude read back bit for bit`() throws {
        var generator = SeededGenerator(state: 7)
        var values: [Float] = [
            0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude,
            -.greatestFiniteMagnitude, -.leastNormalMagnitude, 16_777_216, 0.1, .ulpOfOne,
        ]
        while values.count < 20_000 {
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
            if value.isFinite { values.append(value) }
        }
        var writer = JSONWriter()
        writer.numbers(values)
        let elements = try JSONValue(parsing: writer.bytes).arrayValue(at: "")
        #expect(elements.count == values.count)
        for (element, value) in zip(elements, values) {
            #expect(Float(try element.numberValue(at: "")).bitPattern == value.bitPattern)
        }
    }

    @Test func `a collection that is not contiguous is written like an array`() {
        let values: [Float] = [1, 2.5, -3]
        let reversed = text { $0.numbers(values.reversed()) }
        #expect(reversed == "[-3.0,2.5,1.0]")
    }

    @Test func `random doubles read back bit for bit`() throws {
        var generator = SeededGenerator(state: 11)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: generator.next())
            guard value.isFinite else { continue }
            var writer = JSONWriter()
            writer.number(value)
            #expect(try JSONValue(parsing: writer.bytes).numberValue(at: "").bitPattern == value.bitPattern)
        }
    }

    /// Expected values from Python: `base64.b64encode(struct.pack("<Nf", …))`.
    @Test(arguments: [
        ([], ""), ([1], "AACAPw=="), ([1, -2], "AACAPwAAAMA="), ([1, -2, 0.5], "AACAPwAAAMAAAAA/"),
        ([3.1415927, -0.0, 1e-37, 3.4e38], "2w9JQAAAAIDqHAgCnsl/fw=="),
    ] as [([Float], String)])
    func `floats become the base64 of their little-endian bytes`(_ row: (values: [Float], expected: String)) {
        let encoded = text { $0.base64(row.values) }
        #expect(encoded == "\"\(row.expected)\"")
    }

    @Test func `base64 is Foundation's for every length, and for values that do not lie side by side`() {
        var generator = SeededGenerator(state: 7)
        for count in 0..<100 {
            let values = (0..<count).map { _ in Float(bitPattern: UInt32.random(in: 0 ... .max, using: &generator)) }
            let expected = "\"" + values.withUnsafeBytes { Data($0).base64EncodedString() } + "\""
            #expect(text { $0.base64(values) } == expected)
            #expect(text { $0.base64(values.reversed().lazy.reversed()) } == expected)
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): random-looking and the same in every run.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
