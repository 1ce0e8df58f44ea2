import ApusErrors
import ApusJSON
import ApusStores
import Testing

@Suite struct MetadataFilterTests {
    private static func matches(_ filter: String, _ metadata: String) throws -> Bool {
        try MetadataFilter(parsing: Array(filter.utf8)).matches(Metadata(parsing: Array(metadata.utf8)))
    }

    private static func refusal(_ filter: String) -> ApusError? {
        do throws(ApusError) {
            _ = try MetadataFilter(parsing: Array(filter.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test(
        arguments: [
            (#"{}"#, true), (#"{"year":2020}"#, true), (#"{"year":2020.0}"#, true), (#"{"year":"2020"}"#, false),
            (#"{"year":{"$gt":2019,"$lt":2021}}"#, true), (#"{"year":{"$gt":2020}}"#, false), (#"{"year":{"$gte":2020}}"#, true),
            (#"{"year":{"$lte":2019.5}}"#, false), (#"{"year":{"$gt":"1"}}"#, false), (#"{"genre":{"$lt":"e"}}"#, true),
            (#"{"genre":{"$in":["comedy","drama"]}}"#, true), (#"{"genre":{"$nin":["comedy","drama"]}}"#, false),
            (#"{"genre":{"$in":[]}}"#, false), (#"{"genre":{"$nin":[]}}"#, true),
            (#"{"tags":{"$contains":"b"}}"#, true), (#"{"tags":{"$contains":2.0}}"#, true), (#"{"tags":{"$contains":"c"}}"#, false),
            (#"{"tags":"b"}"#, false), (#"{"genre":{"$contains":"drama"}}"#, false), (#"{"author.name":"Ann"}"#, true),
            (#"{"author.age":{"$exists":false}}"#, true), (#"{"author":{"$exists":true}}"#, true), (#"{"none":null}"#, true),
            (#"{"none":{"$exists":true}}"#, true), (#"{"absent":null}"#, false), (#"{"absent":{"$ne":1}}"#, true),
            (#"{"absent":{"$nin":[1]}}"#, true), (#"{"absent":{"$gt":0}}"#, false), (#"{"seen":true}"#, true), (#"{"seen":1}"#, false),
            (#"{"$not":{"year":2020}}"#, false), (#"{"$or":[{"year":1},{"genre":"drama"}]}"#, true),
            (#"{"$and":[{"year":2020},{"genre":"comedy"}]}"#, false), (#"{"year":2020,"genre":"drama"}"#, true),
            (#"{"big":9007199254740993}"#, true), (#"{"big":9007199254740992}"#, false), (#"{"big":{"$gt":9007199254740992.0}}"#, true),
        ])
    func `a filter holds for what it says`(_ filter: String, _ expected: Bool) throws {
        let metadata = #"""
            {"year":2020,"genre":"drama","tags":["a","b",2],"author":{"name":"Ann"},"none":null,"seen":true,"big":9007199254740993}
            """#
        #expect(try Self.matches(filter, metadata) == expected)
    }

    @Test func `strings are compared by their bytes`() throws {
        #expect(try Self.matches(#"{"name":"é"}"#, #"{"name":"\u00e9"}"#))
        #expect(try !Self.matches(#"{"name":"e\u0301"}"#, #"{"name":"\u00e9"}"#))
    }

    @Test(
        arguments: [
            (#"{"year":{"$gt":true}}"#, "filter.year.$gt"), (#"{"$and":[{"a":1},{"year":{"$gt":null}}]}"#, "filter.$and[1].year.$gt"),
            (#"{"year":{"$like":"x"}}"#, "filter.year.$like"), (#"{"$xor":[]}"#, "filter.$xor"), (#"{"$and":[]}"#, "filter.$and"),
            (#"{"$or":{"a":1}}"#, "filter.$or"), (#"{"year":{}}"#, "filter.year"), (#"{"year":[1]}"#, "filter.year"),
            (#"{"year":{"$in":1}}"#, "filter.year.$in"), (#"{"year":{"$in":[1,[2]]}}"#, "filter.year.$in[1]"),
            (#"{"year":{"$exists":1}}"#, "filter.year.$exists"), (#"[]"#, "filter"), (#"{"$not":[]}"#, "filter.$not"),
            (#"{"a":1"#, "filter, line 1, column 7"), (#"{"a":1,"a":2}"#, "filter, line 1, column 8"),
        ])
    func `a bad filter is refused with its place`(_ filter: String, _ place: String) {
        let error = Self.refusal(filter)
        #expect(error?.code == .invalidFilter)
        #expect(error?.place == place)
    }

    @Test func `a filter beyond the limits is refused`() {
        func nested(_ depth: Int) -> String {
            String(repeating: #"{"$not":"#, count: depth - 1) + #"{"a":1}"# + String(repeating: "}", count: depth - 1)
        }
        func conditions(_ count: Int) -> String {
            "{" + (0..<count).map { #""f\#($0)":1"# }.joined(separator: ",") + "}"
        }
        func list(_ count: Int) -> String {
            #"{"a":{"$in":["# + (0..<count).map(String.init).joined(separator: ",") + "]}}"
        }
        #expect(Self.refusal(nested(16)) == nil)
        #expect(Self.refusal(nested(17))?.message.contains("16 deep") == true)
        #expect(Self.refusal(nested(2_000))?.code == .invalidFilter)
        #expect(Self.refusal(conditions(256)) == nil)
        #expect(Self.refusal(conditions(257))?.message.contains("256 conditions") == true)
        #expect(Self.refusal(list(1_000)) == nil)
        #expect(Self.refusal(list(1_001))?.place == "filter.a.$in")
        let long = #"{"a":""# + String(repeating: "x", count: 1 << 20) + #""}"#
        #expect(Self.refusal(long)?.message.contains("65536 are allowed") == true)
    }
}

