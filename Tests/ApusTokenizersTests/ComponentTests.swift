import ApusJSON
import ApusTokenizers
import Testing

/// Each normalizer and pre-tokenizer by itself: the model of these files spells out the text it is given and where it
/// was cut, so that the ids say what the component did.
@Suite struct ComponentTests {
    @Test func `every normalizer and pre-tokenizer does what Python does`() throws {
        let file = try GoldenFile.json("components.json")
        let model = try file["model"]
        let texts = try file["texts"].strings
        let members = try GoldenFile.json("unigram.json")["normalizer"]["normalizers"].array
        let characterMap = try #require(members.first)
        let components = try file["components"].array
        #expect(components.count > 100 && texts.count > 90)
        for component in components {
            var normalizer = try component["normalizer"]
            if case .object(let object) = normalizer, case .string("Precompiled")? = object["type"] {
                normalizer = characterMap
            }
            let document = try model.setting("normalizer", normalizer)
                .setting("pre_tokenizer", component["pre_tokenizer"])
            let tokenizer = try Tokenizer(json: Array(document.text.utf8), name: "component")
            let fingerprints = try component["fingerprints"].strings
            #expect(fingerprints.count == texts.count)
            for (text, expected) in zip(texts, fingerprints) {
                let ids = tokenizer.encode(text).ids
                #expect(
                    GoldenFile.fingerprint(ids) == expected,
                    "\(text.debugDescription) \(String(component.text.prefix(200))) \(ids.prefix(60))")
            }
        }
    }
}
