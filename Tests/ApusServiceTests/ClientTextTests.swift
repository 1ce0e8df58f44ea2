import ApusService
import Testing

@Suite("Text from clients")
struct ClientTextTests {
    @Test("Control characters, separators and reordering marks are spelled out")
    func escapes() {
        #expect(ClientText.quoted("a\nb\0\u{7F}\u{9B}\u{202E}c") == #"'a\u{a}b\u{0}\u{7f}\u{9b}\u{202e}c'"#)
        #expect(ClientText.quoted("héllo 🙂") == "'héllo 🙂'")
    }

    @Test("Long text is cut")
    func cuts() {
        #expect(ClientText.quoted(String(repeating: "m", count: 100_000), limit: 3) == "'mmm…'")
        #expect(ClientText.quoted("mmm", limit: 3) == "'mmm'")
    }
}
