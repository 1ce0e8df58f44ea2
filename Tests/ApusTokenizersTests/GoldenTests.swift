import ApusJSON
import ApusTokenizers
import Testing

/// Python's `tokenizers` is the reference for everything here.
@Suite struct GoldenTests {
    static let names = [
        "wordpiece.json", "bytelevel_gpt2.json", "bytelevel_llama3.json", "bpe_bytefallback.json", "unigram.json",
    ]

    @Test(arguments: names)
    func `ids of many texts are those of Python`(name: String) throws {
        let golden = try GoldenFile.json("goldens.json")
        let record = try golden["tokenizers"][name]
        let tokenizer = try GoldenFile.tokenizer(name)
        let texts = try golden["texts"].strings
        let ids = try record["ids"].array.map { try $0.int32s }
        let fingerprints = try record["fingerprints"].strings
        let bare = try record["bare"].strings
        #expect(texts.count > 300 && fingerprints.count == texts.count && bare.count == texts.count)
        for (text, expected) in zip(texts, ids) {
            #expect(tokenizer.encode(text).ids == expected, "\(text.debugDescription)")
        }
        for (index, text) in texts.enumerated() {
            let encoding = tokenizer.encode(text)
            #expect(GoldenFile.fingerprint(encoding.ids) == fingerprints[index], "\(text.debugDescription)")
            let withoutSpecials = tokenizer.encode(text, addSpecialTokens: .omitted)
            #expect(GoldenFile.fingerprint(withoutSpecials.ids) == bare[index], "\(text.debugDescription)")
            #expect(encoding.originalTokenCount == encoding.ids.count && !encoding.isTruncated)
        }
        #expect(tokenizer.vocabularySize == (try record["vocabulary_size"].integerValue(at: "size")))
    }

    @Test(arguments: names)
    func `pairs have the ids and the types of Python`(name: String) throws {
        let golden = try GoldenFile.json("goldens.json")
        let record = try golden["tokenizers"][name]
        let tokenizer = try GoldenFile.tokenizer(name)
        let pairs = try golden["pairs"].array.map { try $0.strings }
        let ids = try record["pair_ids"].array.map { try $0.int32s }
        let types = try record["pair_types"].array.map { try $0.int32s }
        #expect(pairs.count > 20 && ids.count == pairs.count && types.count == pairs.count)
        for (index, pair) in pairs.enumerated() {
            let encoding = tokenizer.encode(pair[0], pair: pair[1])
            #expect(encoding.ids == ids[index])
            #expect(encoding.typeIDs == types[index])
            #expect(encoding.specialTokensMask.count == encoding.ids.count)
        }
    }

    @Test(arguments: names)
    func `decoding gives the text that Python gives`(name: String) throws {
        let golden = try GoldenFile.json("goldens.json")
        let record = try golden["tokenizers"][name]
        let tokenizer = try GoldenFile.tokenizer(name)
        let texts = try golden["texts"].strings
        for (text, expected) in zip(texts, try record["decoded"].strings) {
            let decoded = tokenizer.decode(tokenizer.encode(text).ids)
            #expect(Array(decoded.utf8) == Array(expected.utf8), "\(text.debugDescription)")
        }
        for (text, expected) in zip(texts, try record["decoded_with_special"].strings) {
            let decoded = tokenizer.decode(tokenizer.encode(text).ids, specialTokens: .kept)
            #expect(Array(decoded.utf8) == Array(expected.utf8), "\(text.debugDescription)")
        }
    }

    @Test(arguments: names)
    func `truncation keeps what Python keeps`(name: String) throws {
        let golden = try GoldenFile.json("goldens.json")
        let tokenizer = try GoldenFile.tokenizer(name)
        let texts = try golden["texts"].strings
        let pairs = try golden["pairs"].array.map { try $0.strings }
        let records = try golden["tokenizers"][name]["truncated"].array
        #expect(records.count == 4)
        for record in records {
            let limit = try record["limit"].integerValue(at: "limit")
            for (text, expected) in zip(texts, try record["single"].strings) {
                let whole = tokenizer.encode(text)
                let encoding = whole.truncated(to: limit)
                #expect(GoldenFile.fingerprint(encoding.ids) == expected, "\(limit) \(text.debugDescription)")
                #expect(encoding.originalTokenCount == whole.ids.count)
                #expect(encoding.isTruncated == (whole.ids.count > limit))
                #expect(encoding.typeIDs.count == encoding.ids.count)
            }
            for (pair, expected) in zip(pairs, try record["pair"].strings) {
                let encoding = tokenizer.encode(pair[0], pair: pair[1]).truncated(to: limit)
                #expect(GoldenFile.fingerprint(encoding.ids) == expected, "\(limit) \(pair)")
            }
        }
    }

    @Test func `a limit below the special tokens leaves only those`() throws {
        let tokenizer = try GoldenFile.tokenizer("wordpiece.json")
        let encoding = tokenizer.encode("some words here")
        #expect(encoding.truncated(to: 2).ids == [101, 102])
        #expect(encoding.truncated(to: 1).ids == [101])
        #expect(encoding.truncated(to: 0).ids.isEmpty)
        #expect(encoding.truncated(to: -1).ids.isEmpty)
    }

    @Test func `ids without a token are left out of decoded text`() throws {
        let tokenizer = try GoldenFile.tokenizer("wordpiece.json")
        let ids = tokenizer.encode("hello world", addSpecialTokens: .omitted).ids
        #expect(tokenizer.decode([-1, Int32.max] + ids + [1_000_000]) == tokenizer.decode(ids))
    }

    @Test func `one tokenizer serves many tasks at once`() async throws {
        let tokenizer = try GoldenFile.tokenizer("unigram.json")
        let text = "Many tasks share a tokenizer: naïve, 東京, 👍🏽."
        let expected = tokenizer.encode(text).ids
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<50).allSatisfy { _ in tokenizer.encode(text).ids == expected } }
            }
            for await isEqual in group { #expect(isEqual) }
        }
    }
}
