import ApusJSON
import ApusTokenizers
import Testing

/// Decoders and post-processors by themselves, over a model of whole words.
@Suite struct PartTests {
    static func tokenizer(_ document: JSONValue, _ key: String, _ part: JSONValue) throws -> Tokenizer {
        try Tokenizer(json: Array(document.setting(key, part).text.utf8), name: "parts")
    }

    @Test func `every decoder gives the text that Python gives`() throws {
        let file = try GoldenFile.json("parts.json")
        let sequences = try file["sequences"].array.map { try $0.int32s }
        let decoders = try file["decoders"].array
        #expect(decoders.count > 15 && sequences.count == 60)
        for record in decoders {
            let decoder = try record["decoder"]
            let tokenizer = try Self.tokenizer(file["document"], "decoder", decoder)
            for (key, specials) in [("skipped", SpecialTokensInText.skipped), ("kept", .kept)] {
                for (ids, expected) in zip(sequences, try record[key].strings) {
                    let text = tokenizer.decode(ids, specialTokens: specials)
                    #expect(Array(text.utf8) == Array(expected.utf8), "\(decoder.text) \(ids)")
                }
            }
            #expect(tokenizer.decode([]).isEmpty)
        }
    }

    @Test func `every post-processor puts tokens and types where Python does`() throws {
        let file = try GoldenFile.json("parts.json")
        let processors = try file["processors"].array
        #expect(processors.count == 6)
        for record in processors {
            let processor = try record["processor"]
            let tokenizer = try Self.tokenizer(file["document"], "post_processor", processor)
            for example in try record["cases"].array {
                var second: String?
                if case .string(let text) = try example["second"] { second = text }
                let specials: SpecialTokens = try example["special"].boolValue(at: "special") ? .added : .omitted
                let encoding = try tokenizer.encode(
                    example["first"].string, pair: second, addSpecialTokens: specials)
                #expect(try encoding.ids == example["ids"].int32s, "\(processor.text) \(example.text)")
                #expect(try encoding.typeIDs == example["types"].int32s, "\(processor.text) \(example.text)")
            }
        }
    }
}
