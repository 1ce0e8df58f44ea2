/// WordLevel: a word is a token or it is unknown.
struct WordLevelModel: Sendable {
    let vocabulary: Vocabulary
    /// Nil when the file's unknown token is not in its vocabulary; unknown words then yield nothing.
    let unknownID: Int32?

    func encode(_ word: UTF8Bytes, into ids: inout [Int32]) {
        if let id = vocabulary.id(of: word) ?? unknownID { ids.append(id) }
    }
}
