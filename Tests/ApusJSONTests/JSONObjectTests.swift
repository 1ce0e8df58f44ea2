import ApusErrors
import ApusJSON
import Testing

struct JSONObjectTests {
    private func object(_ text: String) throws -> JSONObject {
        try JSONValue(parsing: Array(text.utf8)).objectValue(at: "document")
    }

    @Test(arguments: [0, 1, 15, 16, 17, 18, 100, 5_000])
    func `every key is found and no other, in objects of any size`(_ count: Int) throws {
        let members = (0..<count).map { "\"key \($0)\":\($0)" }.joined(separator: ",")
        let object = try object("{\(members)}")
        #expect(object.count == count)
        for number in 0..<count {
            #expect(try object["key \(number)"]?.integerValue(at: "") == number)
            #expect(object.entries[number].key == "key \(number)")
        }
        #expect(object["key \(count)"] == nil)
        #expect(object[""] == nil)
    }

    @Test(arguments: [2, 16, 17, 18, 100, 5_000])
    func `a key that comes twice is refused in objects of any size`(_ count: Int) {
        for twin in [0, (count - 1) / 2, count - 2] {
            var keys = (0..<count).map { "\"key \($0)\":0" }
            keys[count - 1] = "\"key \(twin)\":0"
            #expect(throws: ApusError.self) { try object("{\(keys.joined(separator: ","))}") }
        }
    }

    @Test func `canonically equivalent keys stay apart in small and large objects`() throws {
        let filler = (0..<40).map { ",\"\($0)\":0" }.joined()
        for rest in ["", filler] {
            let object = try object("{\"\u{E9}\":1,\"e\u{301}\":2\(rest)}")
            #expect(try object["\u{E9}"]?.integerValue(at: "") == 1)
            #expect(try object["e\u{301}"]?.integerValue(at: "") == 2)
        }
    }

    @Test func `appending a present key leaves the object as it was`() {
        var object = JSONObject()
        for number in 0..<40 {
            let added = object.append("\(number)", .integer(Int64(number)))
            let addedAgain = object.append("\(number / 2)", .null)
            #expect(added)
            #expect(!addedAgain)
        }
        #expect(object.count == 40)
    }
}
