import ApusErrors
import ApusJSON
import Testing

struct JSONParsingTests {
    private func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    private func compact(_ text: String) throws -> String {
        var writer = JSONWriter()
        writer.value(try parse(text))
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("null", "null"), (" true ", "true"), ("false", "false"), ("0", "0"), ("-0", "0"), ("-0.0", "-0.0"),
        ("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "9.223372036854776e+18"), ("18446744073709551616", "1.8446744073709552e+19"),
        ("1.0", "1.0"), ("1e3", "1000.0"), ("1E+3", "1000.0"), ("1.5e-3", "0.0015"), ("1e-999", "0.0"),
        ("5e-324", "5e-324"), ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("3.141592653589793238462643383279", "3.141592653589793"), ("[]", "[]"), ("{}", "{}"), ("[ ]", "[]"), ("{ }", "{}"),
        ("[1,\t2\r\n, 3]", "[1,2,3]"), (#"{"a":{"b":[null]}}"#, #"{"a":{"b":[null]}}"#),
        (#""\"\\\/\b\f\n\r\t""#, #""\"\\/\b\f\n\r\t""#), (#""\u0041\u00e9\u20AC\ud83d\ude00""#, "\"Aé€😀\""),
        (#""plain \u0000 NUL""#, #""plain \u0000 NUL""#), ("\"\u{7F}\u{2028}\u{FEFF}\"", "\"\u{7F}\u{2028}\u{FEFF}\""),
        ("{\"\u{E9}\":1,\"e\u{301}\":2}", "{\"\u{E9}\":1,\"e\u{301}\":2}"), (#"{"":1}"#, #"{"":1}"#),
    ])
    func `valid documents read as written`(_ row: (text: String, expected: String)) throws {
        #expect(Array(try compact(row.text).utf8) == Array(row.expected.utf8))
    }

    @Test(arguments: [
        ("", "line 1, column 1"), ("  \n ", "line 2, column 2"), ("[1,]", "line 1, column 3"), (#"{"a":1,}"#, "line 1, column 7"),
        (#"{"a":1,"a":2}"#, "line 1, column 8"), (#"{"a":1,"\u0061":2}"#, "line 1, column 8"), ("\u{FEFF}1", "line 1, column 1"),
        ("NaN", "line 1, column 1"), ("Infinity", "line 1, column 1"), ("-Infinity", "line 1, column 1"),
        ("1e999", "line 1, column 1"), ("[-1e999]", "line 1, column 2"), ("01", "line 1, column 1"), ("-", "line 1, column 1"),
        ("1.", "line 1, column 1"), (".5", "line 1, column 1"), ("1e", "line 1, column 1"), ("1e+", "line 1, column 1"),
        ("+1", "line 1, column 1"), ("0x10", "line 1, column 2"), ("1 2", "line 1, column 3"), ("{}x", "line 1, column 3"),
        ("\"a", "line 1, column 3"), ("\"a\nb\"", "line 1, column 3"), ("\"\u{0}\"", "line 1, column 2"),
        (#""\x""#, "line 1, column 2"), (#""\u12""#, "line 1, column 7"), (#""\u12G4""#, "line 1, column 2"),
        (#""\ud800""#, "line 1, column 2"), (#""\udc00""#, "line 1, column 2"), (#""\ud800\ud800""#, "line 1, column 2"),
        (#""\ud800A""#, "line 1, column 2"), ("[1 2]", "line 1, column 4"), ("[1", "line 1, column 3"), ("[", "line 1, column 2"),
        ("{", "line 1, column 2"), (#"{"a""#, "line 1, column 5"), (#"{"a" 1}"#, "line 1, column 6"), (#"{"a":}"#, "line 1, column 6"),
        (#"{a:1}"#, "line 1, column 2"), ("{'a':1}", "line 1, column 2"), ("[1]]", "line 1, column 4"), ("tru", "line 1, column 1"),
        ("True", "line 1, column 1"), ("nul", "line 1, column 1"), ("// c\n1", "line 1, column 1"), ("[,1]", "line 1, column 2"),
        ("[\"é\",\n \"ü\" 1]", "line 2, column 6"), ("\u{A0}1", "line 1, column 1"), (#""\"#, "line 1, column 3"),
    ])
    func `malformed documents are refused at the offending place`(_ row: (text: String, place: String)) {
        let error = #expect(throws: ApusError.self) { try parse(row.text) }
        #expect(error?.code == .invalidJSON)
        #expect(error?.place == row.place)
    }

    @Test(arguments: [
        [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xE0, 0x80, 0xAF, 0x22],
        [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xF8, 0x88, 0x80, 0x80, 0x80, 0x22],
        [0x22, 0x5C, 0x6E, 0xFF, 0x22], [0x22, 0x80, 0x22], [0xFF, 0xFE, 0x31, 0x00], [0xFE, 0xFF, 0x00, 0x31],
        [0x31, 0x00], [0x00, 0x31], [0xEF, 0xBB, 0xBF, 0x31],
    ] as [[UInt8]])
    func `bytes that are not UTF-8 without a byte order mark are refused`(_ bytes: [UInt8]) {
        let error = #expect(throws: ApusError.self) { try JSONValue(parsing: bytes) }
        #expect(error?.code == .invalidJSON)
    }

    @Test func `nesting is accepted to the limit and refused beyond it`() throws {
        for (open, close) in [("[", "]"), (#"{"a":"#, "}")] {
            let inner = open == "[" ? "" : "1"
            func nested(_ depth: Int) -> String {
                String(repeating: open, count: depth) + inner + String(repeating: close, count: depth)
            }
            _ = try parse(nested(128))
            #expect(throws: ApusError.self) { try parse(nested(129)) }
            #expect(throws: ApusError.self) { try parse(String(repeating: open, count: 1_000_000)) }
        }
    }

    @Test func `more values than the limit are refused`() throws {
        let limits = JSONLimits(values: 4)
        _ = try JSONValue(parsing: Array("[1,2,3]".utf8), limits: limits)
        let error = #expect(throws: ApusError.self) { try JSONValue(parsing: Array("[1,2,3,4]".utf8), limits: limits) }
        #expect(error?.place == "line 1, column 8")
    }

    @Test func `a special byte is found at every offset of a long string`() throws {
        for length in 0..<40 {
            let plain = String(repeating: "x", count: length)
            #expect(try compact("\"\(plain)\"") == "\"\(plain)\"")
            #expect(try compact("\"\(plain)\\n€\(plain)\"") == "\"\(plain)\\n€\(plain)\"")
            #expect(throws: ApusError.self) { try parse("\"\(plain)\u{1F}\(plain)\"") }
        }
    }

    @Test func `a slice of a larger buffer is read no further than its end`() throws {
        let text = Array("[1234567,\"abcdefgh\"]".utf8)
        for length in 0..<text.count {
            let bytes = text
            bytes.withUnsafeBytes { buffer in
                let part = UnsafeRawBufferPointer(rebasing: buffer[0..<length])
                #expect(throws: ApusError.self) { try JSONValue(parsing: part) }
            }
        }
    }
}
