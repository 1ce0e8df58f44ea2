/// Byte-pair encoding: a word starts as its characters, and the neighbours with the lowest rank merge until none can.
struct BPEModel: Sendable {
    struct Options: Sendable {
        var unknownToken: [UInt8]?
        /// Goes before every character of a word but the first.
        var continuingPrefix: [UInt8] = []
        /// Goes after the last character of a word.
        var endOfWordSuffix: [UInt8] = []
        var joinsUnknown = false
        var hasByteFallback = false
        /// A word that is a token as a whole is not merged together.
        var ignoresMerges = false
    }

    let vocabulary: Vocabulary
    private let merges: MergeTable
    private let options: Options
    private let unknownID: Int32?
    private let byteFallbackIDs: [Int32?]?
    /// When words come as raw bytes: the ids of the characters that stand for them, or -1.
    private let rawByteIDs: [Int32]?
    /// When words come as raw bytes: the whole tokens, as raw bytes.
    private let rawTokens: Vocabulary?

    init(vocabulary: Vocabulary, merges: MergeTable, options: Options) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.options = options
        unknownID = options.unknownToken.flatMap { vocabulary.id(of: $0) }
        byteFallbackIDs = options.hasByteFallback ? ByteTokens.ids(in: vocabulary) : nil
        rawByteIDs = nil
        rawTokens = nil
    }

    /// The same model for words whose bytes are not yet spelled by byte-level characters, or nil when the options
    /// look at the characters. It spares writing and looking up two bytes for every one.
    func takingRawBytes() -> BPEModel? {
        guard !options.hasByteFallback, options.continuingPrefix.isEmpty, options.endOfWordSuffix.isEmpty else {
            return nil
        }
        return BPEModel(rawFrom: self)
    }

    private init(rawFrom model: BPEModel) {
        vocabulary = model.vocabulary
        merges = model.merges
        options = model.options
        unknownID = model.unknownID
        byteFallbackIDs = nil
        rawByteIDs = (0..<256).map { byte in
            model.vocabulary.id(of: ByteLevelAlphabet.spelling(of: UInt8(byte))) ?? -1
        }
        if options.ignoresMerges {
            var tokens = Vocabulary(minimumCapacity: vocabulary.count)
            for entry in vocabulary.entries {
                if let raw = ByteLevelAlphabet.bytes(spelledBy: entry.bytes) {
                    _ = tokens.insert(raw, id: Int(entry.value))
                }
            }
            rawTokens = tokens
        } else {
            rawTokens = nil
        }
    }

    func encode(_ word: UTF8Bytes, into ids: inout [Int32], scratch: inout BPEScratch) {
        if options.ignoresMerges, let id = (rawTokens ?? vocabulary).id(of: word) {
            ids.append(id)
            return
        }
        scratch.symbols.removeAll(keepingCapacity: true)
        if let rawByteIDs {
            appendSymbols(rawBytes: word, rawByteIDs, to: &scratch.symbols)
        } else {
            appendSymbols(characters: word, to: &scratch.symbols)
        }
        merges.withLookup { lookup in
            if scratch.symbols.count <= BPEScratch.scanLimit {
                scratch.mergeByScanning(lookup)
            } else {
                scratch.mergeByHeap(lookup)
            }
        }
        ids.append(contentsOf: scratch.symbols)
    }

    private func appendSymbols(rawBytes word: UTF8Bytes, _ rawByteIDs: [Int32], to symbols: inout [Int32]) {
        var unknown = PendingUnknown(id: unknownID, joins: options.joinsUnknown)
        for byte in word {
            let id = rawByteIDs[Int(byte)]
            if id >= 0 {
                unknown.flush(to: &symbols)
                symbols.append(id)
            } else {
                unknown.add(to: &symbols)
            }
        }
        unknown.flush(to: &symbols)
    }

    private func appendSymbols(characters word: UTF8Bytes, to symbols: inout [Int32]) {
        var unknown = PendingUnknown(id: unknownID, joins: options.joinsUnknown)
        let isPlain = options.continuingPrefix.isEmpty && options.endOfWordSuffix.isEmpty
        var decorated: [UInt8] = []
        var start = 0
        while start < word.count {
            let end = start + UTF8Length.ofScalar(startingWith: word[start])
            var id: Int32?
            if isPlain {
                id = vocabulary.id(of: word.slice(start, end))
            } else {
                decorated.removeAll(keepingCapacity: true)
                if start > 0 { decorated += options.continuingPrefix }
                decorated += word[start..<end]
                if end == word.count { decorated += options.endOfWordSuffix }
                id = vocabulary.id(of: decorated)
            }
            if let id {
                unknown.flush(to: &symbols)
                symbols.append(id)
            } else if !appendFallback(isPlain ? Array(word[start..<end]) : decorated, to: &symbols) {
                unknown.add(to: &symbols)
            }
            start = end
        }
        unknown.flush(to: &symbols)
    }

    /// The byte tokens of a character that is no token; false when the model has them not all.
    private func appendFallback(_ character: [UInt8], to symbols: inout [Int32]) -> Bool {
        guard let byteFallbackIDs else { return false }
        let mark = symbols.count
        for byte in character {
            guard let id = byteFallbackIDs[Int(byte)] else {
                symbols.removeSubrange(mark...)
                return false
            }
            symbols.append(id)
        }
        return true
    }

    /// An unknown character waits until the next known one, so that a run of them can become one token.
    private struct PendingUnknown {
        let id: Int32?
        let joins: Bool
        private var isPending = false

        init(id: Int32?, joins: Bool) {
            self.id = id
            self.joins = joins
        }

        @inline(__always)
        mutating func flush(to symbols: inout [Int32]) {
            guard isPending, let id else { return }
            symbols.append(id)
            isPending = false
        }

        mutating func add(to symbols: inout [Int32]) {
            if !joins { flush(to: &symbols) }
            isPending = true
        }
    }
}
