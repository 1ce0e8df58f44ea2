import ApusErrors
import ApusJSON
import Testing

struct JSONAccessTests {
    private func reader(_ text: String) throws -> JSONReader {
        try JSONReader(JSONValue(parsing: Array(text.utf8)), place: "config.json: ", code: .invalidCheckpoint)
    }

    @Test(arguments: [
        ("7", 7), ("1.0", 1), ("1e3", 1_000), ("-2.0", -2), ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min),
        ("-9223372036854775808.0", Int.min),
    ])
    func `whole numbers are integers however they are written`(_ row: (text: String, value: Int)) throws {
        #expect(try reader("{\"n\":\(row.text)}").integer("n") == row.value)
    }

    @Test(arguments: ["1.5", "9223372036854775808", "1e19", "-1e19", "1e300", "null", "\"1\"", "true", "[1]", "{}"])
    func `other values are no integers`(_ text: String) {
        let error = #expect(throws: ApusError.self) { try reader("{\"n\":\(text)}").integer("n") }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place == "config.json: n")
    }

    @Test func `typed readers take their own type only`() throws {
        let reader = try reader(#"{"i":1,"f":0.5,"s":"t","b":true,"a":[1],"o":{"x":1},"z":null}"#)
        #expect(try reader.number("i") == 1)
        #expect(try reader.number("f") == 0.5)
        #expect(try reader.string("s") == "t")
        #expect(try reader.bool("b"))
        #expect(try reader.array("a").count == 1)
        #expect(try reader.reader("o").integer("x") == 1)
        #expect(throws: ApusError.self) { try reader.string("i") }
        #expect(throws: ApusError.self) { try reader.number("s") }
        #expect(throws: ApusError.self) { try reader.bool("i") }
        #expect(throws: ApusError.self) { try reader.array("o") }
        #expect(throws: ApusError.self) { try reader.reader("a") }
        #expect(throws: ApusError.self) { try reader.string("z") }
        let missing = #expect(throws: ApusError.self) { try reader.reader("o").string("y") }
        #expect(missing?.place == "config.json: o.y")
    }

    @Test func `optional values are nil when absent or null and typed when present`() throws {
        let reader = try reader(#"{"i":1,"z":null}"#)
        #expect(try reader.optionalInteger("i") == 1)
        #expect(try reader.optionalInteger("z") == nil)
        #expect(try reader.optionalString("absent") == nil)
        #expect(try reader.optionalReader("z") == nil)
        #expect(throws: ApusError.self) { try reader.optionalString("i") }
        #expect(throws: ApusError.self) { try reader.optionalBool("i") }
        #expect(throws: ApusError.self) { try reader.optionalArray("i") }
        #expect(throws: ApusError.self) { try reader.optionalReader("i") }
    }

    @Test func `a document that is no object names the document`() {
        let error = #expect(throws: ApusError.self) { try JSONReader(.array([])) }
        #expect(error?.place == "document")
        #expect(error?.code == .invalidValue)
    }
}
