import ApusTokenizers
import Testing

/// Texts and patterns that make careless tokenizers take quadratic or exponential time. A minute is far more than any
/// of these needs and far less than it would take where time were not linear.
@Suite(.timeLimit(.minutes(1))) struct HostileTextTests {
    static let texts: [String] = [
        String(repeating: "a", count: 1_000_000),
        String(repeating: "abcdefghij", count: 100_000),
        "a" + String(repeating: "\u{301}\u{323}", count: 500_000),
        String(repeating: " ", count: 1_000_000) + "x",
        String(repeating: "\r\n", count: 500_000),
        String(repeating: "中", count: 300_000),
        String(repeating: "1", count: 1_000_000),
        String(repeating: "\u{1F468}\u{200D}", count: 200_000),
        String(repeating: "क\u{94D}", count: 200_000),
        String(repeating: "[MAS<mas", count: 120_000),
        String(repeating: "'", count: 1_000_000),
    ]

    @Test(arguments: GoldenTests.names)
    func `a megabyte of one thing takes linear time`(name: String) throws {
        let tokenizer = try GoldenFile.tokenizer(name)
        for text in Self.texts {
            let encoding = tokenizer.encode(text)
            #expect(encoding.count >= 2)
            #expect(encoding.truncated(to: 16).count <= 16)
        }
    }

    @Test(arguments: [
        "(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)(.*)(.*)x", "a*a*a*a*b", "(a|a?)+$", "(x+x+)+y", #"(\\p{L}+\\s?)*!"#,
        "a+b|a", "(?:(?:a?)*)*c", "(?=(a+)+b)a",
    ])
    func `a pattern that explodes when backtracking runs in linear time`(pattern: String) throws {
        let damage = MalformedFileTests.Damage(
            member: "pre_tokenizer", json: MalformedFileTests.regex(pattern), place: "")
        let tokenizer = try Tokenizer(json: MalformedFileTests.document(damage), name: "tokenizer.json")
        for text in [String(repeating: "a", count: 300_000), String(repeating: "x", count: 300_000)] {
            #expect(tokenizer.encode(text + "!").count >= 1)
        }
    }

    @Test func `added tokens that are spaces and take spaces stay linear`() throws {
        let json = #"""
            [{"id":9,"content":" ","single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":false},
             {"id":10,"content":"b","single_word":true,"lstrip":true,"rstrip":true,"normalized":false,"special":false}]
            """#
        let damage = MalformedFileTests.Damage(member: "added_tokens", json: json, place: "")
        let tokenizer = try Tokenizer(json: MalformedFileTests.document(damage), name: "tokenizer.json")
        let spaces = String(repeating: " ", count: 500_000)
        #expect(tokenizer.encode(spaces).ids == [4])
        #expect(tokenizer.encode("a" + spaces + "a b a").ids == [1, 4, 1, 4, 2, 1])
    }
}
