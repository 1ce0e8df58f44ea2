import ApusErrors
import ApusJSON
import ApusTokenizers
import Testing

/// A damaged tokenizer.json fails the load with `.invalidTokenizer` and names the place.
@Suite struct MalformedFileTests {
    /// A small sound file; the cases replace one member of it.
    static let sound = """
        {"version":"1.0","truncation":null,"padding":null,
         "added_tokens":[{"id":0,"content":"<unk>","single_word":false,"lstrip":false,"rstrip":false,
                          "normalized":false,"special":true}],
         "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,
         "model":{"type":"BPE","unk_token":"<unk>","vocab":{"<unk>":0,"a":1,"b":2,"ab":3},"merges":["a b"]}}
        """

    struct Damage: Sendable, CustomTestStringConvertible {
        var member: String
        var json: String
        var place: String
        var testDescription: String { "\(member) = \(json.prefix(80))" }
    }

    static func regex(_ pattern: String) -> String {
        #"{"type":"Split","pattern":{"Regex":"\#(pattern)"},"behavior":"Isolated","invert":false}"#
    }

    static let damages: [Damage] = [
        // Models.
        Damage(member: "model", json: "null", place: "model"),
        Damage(member: "model", json: "[]", place: "model"),
        Damage(member: "model", json: #"{"type":"Magic"}"#, place: "model.type"),
        Damage(member: "model", json: #"{"type":"BPE","merges":[]}"#, place: "model.vocab"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{}}"#, place: "model.merges"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":[],"merges":[]}"#, place: "model.vocab"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":-1},"merges":[]}"#, place: "model.vocab['a']"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1.5},"merges":[]}"#, place: "model.vocab['a']"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":"1"},"merges":[]}"#, place: "model.vocab['a']"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":4294967295},"merges":[]}"#, place: "model.vocab['a']"),
        Damage(
            member: "model", json: #"{"type":"BPE","vocab":{"a":9223372036854775807},"merges":[]}"#,
            place: "model.vocab['a']"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1,"b":1},"merges":[]}"#, place: "model.vocab['b']"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1},"merges":["a b"]}"#, place: "model.merges[0]"),
        Damage(
            member: "model", json: #"{"type":"BPE","vocab":{"a":1,"b":2},"merges":[["a","b"]]}"#,
            place: "model.merges[0]"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1},"merges":["a"]}"#, place: "model.merges[0]"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1},"merges":["a  b"]}"#, place: "model.merges[0]"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1},"merges":[["a"]]}"#, place: "model.merges[0]"),
        Damage(member: "model", json: #"{"type":"BPE","vocab":{"a":1},"merges":[7]}"#, place: "model.merges[0]"),
        Damage(
            member: "model",
            json: #"{"type":"BPE","continuing_subword_prefix":"@@@","vocab":{"a":1,"b":2},"merges":[["a","b"]]}"#,
            place: "model.merges[0]"),
        Damage(
            member: "model", json: #"{"type":"BPE","dropout":0.5,"vocab":{"a":1},"merges":[]}"#, place: "model.dropout"),
        Damage(
            member: "model", json: #"{"type":"BPE","fuse_unk":"yes","vocab":{"a":1},"merges":[]}"#,
            place: "model.fuse_unk"),
        Damage(
            member: "model",
            json: #"{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"@@","max_input_chars_per_word":100,"vocab":{"a":0}}"#,
            place: "model.unk_token"),
        Damage(
            member: "model",
            json: #"{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"@@","max_input_chars_per_word":-1,"vocab":{"a":0}}"#,
            place: "model.max_input_chars_per_word"),
        Damage(
            member: "model", json: #"{"type":"WordPiece","unk_token":"a","continuing_subword_prefix":"@@","vocab":{"a":0}}"#,
            place: "model.max_input_chars_per_word"),
        Damage(
            member: "model", json: #"{"type":"Unigram","unk_id":3,"vocab":[["a",0.0]]}"#, place: "model.unk_id"),
        Damage(member: "model", json: #"{"type":"Unigram","unk_id":0,"vocab":[]}"#, place: "model.unk_id"),
        Damage(member: "model", json: #"{"type":"Unigram","unk_id":0,"vocab":[["a"]]}"#, place: "model.vocab[0]"),
        Damage(
            member: "model", json: #"{"type":"Unigram","unk_id":0,"vocab":[["a",null]]}"#, place: "model.vocab[0][1]"),
        Damage(
            member: "model", json: #"{"type":"Unigram","unk_id":0,"vocab":[["a",1e999]]}"#, place: "line"),
        Damage(member: "model", json: #"{"type":"Unigram","unk_id":0,"vocab":[["a",NaN]]}"#, place: "line"),
        // Normalizers.
        Damage(member: "normalizer", json: #"{"type":"Upside"}"#, place: "normalizer.type"),
        Damage(member: "normalizer", json: #""NFC""#, place: "normalizer"),
        Damage(member: "normalizer", json: #"{"type":"BertNormalizer","clean_text":1}"#, place: "normalizer."),
        Damage(
            member: "normalizer", json: #"{"type":"Precompiled","precompiled_charsmap":"?"}"#,
            place: "normalizer.precompiled_charsmap"),
        Damage(
            member: "normalizer", json: #"{"type":"Precompiled","precompiled_charsmap":"AAAA"}"#,
            place: "normalizer.precompiled_charsmap"),
        Damage(
            member: "normalizer", json: #"{"type":"Precompiled","precompiled_charsmap":"BAAAAAD//////w=="}"#,
            place: "normalizer.precompiled_charsmap"),
        Damage(
            member: "normalizer", json: #"{"type":"Precompiled","precompiled_charsmap":null}"#,
            place: "normalizer.precompiled_charsmap"),
        Damage(
            member: "normalizer", json: #"{"type":"Replace","pattern":{"Regex":"("},"content":""}"#,
            place: "normalizer.pattern.Regex"),
        Damage(
            member: "normalizer", json: #"{"type":"Replace","pattern":"x","content":""}"#, place: "normalizer.pattern"),
        Damage(
            member: "normalizer", json: #"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"?"}]}"#,
            place: "normalizer.normalizers[1].type"),
        // Pre-tokenizers.
        Damage(member: "pre_tokenizer", json: #"{"type":"Scissors"}"#, place: "pre_tokenizer.type"),
        Damage(
            member: "pre_tokenizer", json: #"{"type":"CharDelimiterSplit","delimiter":"ab"}"#,
            place: "pre_tokenizer.delimiter"),
        Damage(
            member: "pre_tokenizer", json: #"{"type":"Punctuation","behavior":"Shredded"}"#,
            place: "pre_tokenizer.behavior"),
        Damage(member: "pre_tokenizer", json: #"{"type":"FixedLength","length":0}"#, place: "pre_tokenizer.length"),
        Damage(
            member: "pre_tokenizer",
            json: #"{"type":"Metaspace","replacement":"_","prepend_scheme":"first","add_prefix_space":false}"#,
            place: "pre_tokenizer.add_prefix_space"),
        Damage(member: "pre_tokenizer", json: regex("(a"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("a)"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("[a"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("*a"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex(#"(a)\\1"#), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(?>ab)"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(?<=ab)c"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(?<n>a)"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex(#"\\p{Klingon}"#), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("a{2000}"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("((a{900}){900}){900}"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("((){900}){900}a"), place: "pre_tokenizer.pattern.Regex"),
        Damage(
            member: "pre_tokenizer", json: regex(String(repeating: "(", count: 5_000)),
            place: "pre_tokenizer.pattern.Regex"),
        Damage(
            member: "pre_tokenizer", json: regex(String(repeating: "[", count: 5_000)),
            place: "pre_tokenizer.pattern.Regex"),
        Damage(
            member: "pre_tokenizer", json: regex(String(repeating: "a", count: 100_000)),
            place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(a??)+"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(|a)*b"), place: "pre_tokenizer.pattern.Regex"),
        Damage(
            member: "pre_tokenizer", json: regex("a" + String(repeating: "{1,2}", count: 1_000)),
            place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(?i:ss)"), place: "pre_tokenizer.pattern.Regex"),
        Damage(member: "pre_tokenizer", json: regex("(?i:é)"), place: "pre_tokenizer.pattern.Regex"),
        // Remembering where an x was, for each of the last thirty characters, needs 2^30 states.
        Damage(member: "pre_tokenizer", json: regex("[xy]{30}x[xy]*"), place: "pre_tokenizer.pattern.Regex"),
        // Post-processors.
        Damage(member: "post_processor", json: #"{"type":"Stamp"}"#, place: "post_processor.type"),
        Damage(
            member: "post_processor", json: #"{"type":"BertProcessing","sep":["a"],"cls":["a",1]}"#,
            place: "post_processor."),
        Damage(
            member: "post_processor", json: #"{"type":"BertProcessing","sep":["a",99],"cls":["a",1]}"#,
            place: "post_processor."),
        Damage(
            member: "post_processor",
            json: #"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"X","type_id":0}}],"pair":[],"special_tokens":{}}"#,
            place: "post_processor.single[0]."),
        Damage(
            member: "post_processor",
            json: #"{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}}"#,
            place: "post_processor.single[0]."),
        // Decoders.
        Damage(member: "decoder", json: #"{"type":"Oracle"}"#, place: "decoder.type"),
        Damage(member: "decoder", json: #"{"type":"Strip","content":"ab","start":0,"stop":0}"#, place: "decoder.content"),
        Damage(member: "decoder", json: #"{"type":"Strip","content":"a","start":-1,"stop":0}"#, place: "decoder.start"),
        Damage(member: "decoder", json: #"{"type":"Sequence","decoders":[{"type":"Fuse"},3]}"#, place: "decoder.decoders[1]"),
        // The rest.
        Damage(member: "version", json: #""2.0""#, place: "version"),
        Damage(member: "added_tokens", json: #"{}"#, place: "added_tokens"),
        Damage(member: "added_tokens", json: #"[{"id":0}]"#, place: "added_tokens[0]."),
        Damage(
            member: "added_tokens",
            json: #"[{"id":-4,"content":"x","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]"#,
            place: "added_tokens[0].id"),
        Damage(
            member: "added_tokens",
            json: #"[{"id":4,"content":"\#(String(repeating: "x", count: 5_000))","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]"#,
            place: "added_tokens[0].content"),
    ]

    /// The sound file with one member replaced as text, so that damage below JSON's own rules can be tried too.
    static func document(_ damage: Damage) throws -> [UInt8] {
        let whole = try JSONValue(parsing: Array(sound.utf8))
        let marked = try whole.setting(damage.member, .string("MARK")).text
        let parts = marked.split(separator: "\"MARK\"", maxSplits: 1).map(String.init)
        try #require(parts.count == 2)
        return Array((parts[0] + damage.json + parts[1]).utf8)
    }

    @Test func `the file that the cases damage is sound`() throws {
        let tokenizer = try Tokenizer(json: Array(Self.sound.utf8), name: "tokenizer.json")
        #expect(tokenizer.encode("abba").ids == [3, 2, 1])
    }

    @Test(arguments: damages)
    func `damage fails the load and is named`(damage: Damage) throws {
        let error = try #require(throws: ApusError.self) {
            try Tokenizer(json: Self.document(damage), name: "tokenizer.json")
        }
        #expect(error.code == .invalidTokenizer)
        let place = try #require(error.place)
        #expect(place.hasPrefix("tokenizer.json"), "\(place)")
        #expect(place.contains(damage.place), "\(place)")
        #expect(!error.message.isEmpty)
    }

    @Test(arguments: ["", "{", "[]", "null", "{}", "\u{FEFF}{}", "{\"model\":1}"])
    func `what is no tokenizer fails the load`(text: String) {
        #expect(throws: ApusError.self) { try Tokenizer(json: Array(text.utf8), name: "tokenizer.json") }
    }

    @Test func `a file that ends early fails the load wherever it ends`() throws {
        let whole = Array(Self.sound.utf8)
        for length in 0..<whole.count {
            let error = #expect(throws: ApusError.self) {
                try Tokenizer(json: Array(whole[..<length]), name: "tokenizer.json")
            }
            #expect(error?.code == .invalidTokenizer)
        }
    }

    @Test func `a damaged character map is refused or harmless`() throws {
        let members = try GoldenFile.json("unigram.json")["normalizer"]["normalizers"].array
        let map = try #require(members.first)["precompiled_charsmap"].string
        let characters = Array(map.utf8)
        var state: UInt64 = 7
        for _ in 0..<200 {
            var damaged = characters
            for _ in 0..<4 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                damaged[Int(state >> 33) % damaged.count] = UInt8(ascii: "A") + UInt8(state >> 20 & 15)
            }
            let json = #"{"type":"Precompiled","precompiled_charsmap":"\#(String(decoding: damaged, as: UTF8.self))"}"#
            let document = try Self.document(Damage(member: "normalizer", json: json, place: ""))
            guard let tokenizer = try? Tokenizer(json: document, name: "tokenizer.json") else { continue }
            for text in ["plain", "ﬁ ① é か\u{3099} 각 \u{1F468}\u{200D}", "\u{0}\u{1}"] { _ = tokenizer.encode(text) }
        }
    }

    @Test func `a file that cannot be read is named`() throws {
        let error = try #require(throws: ApusError.self) { try Tokenizer(contentsOf: "no/such/tokenizer.json") }
        #expect(error.code == .fileUnreadable)
        #expect(error.place == "no/such/tokenizer.json")
    }

    @Test func `holes between ids are accepted`() throws {
        let damage = Damage(
            member: "model", json: #"{"type":"BPE","vocab":{"<unk>":0,"a":5,"b":9},"merges":[]}"#, place: "")
        let tokenizer = try Tokenizer(json: Self.document(damage), name: "tokenizer.json")
        #expect(tokenizer.encode("ab").ids == [5, 9])
        #expect(tokenizer.vocabularySize == 10)
        #expect(tokenizer.decode([5, 7, 9]) == "a b")
        #expect(tokenizer.id(of: "b") == 9 && tokenizer.id(of: "c") == nil)
    }
}
