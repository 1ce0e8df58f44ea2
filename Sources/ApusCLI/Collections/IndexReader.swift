import Apus
import ApusErrors
import ApusStores

/// Reads what is to be indexed, some texts at a time.
actor IndexReader {
    /// Texts that are read together.
    struct Window: Sendable {
        var texts: [IndexedText] = []
        /// Files that were read to their end, and how many chunks each has now.
        var ended: [(source: String, chunks: Int)] = []
        /// Lines or files that were read so far.
        var done = 0
        /// Lines without a text.
        var empty = 0
    }

    nonisolated let total: Int
    nonisolated let unit: String
    private let reading: IndexReading
    private let size: ChunkSize
    private let embedder: Embedder
    private var offset = 0
    private var line = 0
    private var file = 0
    private var ids: Set<[UInt8]> = []

    init(_ reading: IndexReading, _ size: ChunkSize, _ embedder: Embedder) {
        (self.reading, self.size, self.embedder) = (reading, size, embedder)
        (total, unit) = (reading.total, reading.unit)
    }

    /// About `count` texts more; an empty window at the end. Throws `file_unreadable`, `invalid_json`, `invalid_value` and
    /// `string_above_max_length`, naming file and line.
    func next(_ count: Int) throws(ApusError) -> Window {
        var window = Window()
        switch reading {
        case .lines(let source):
            try lines(source, count, into: &window) { bytes, number throws(ApusError) in
                let text = try source.text(bytes)
                return IndexedText(
                    id: "\(source.name):\(number)", text: text, metadata: try IndexedText.origin(source.name, "line", number))
            }
        case .objects(let source, let fields):
            try lines(source, count, into: &window) { bytes, number throws(ApusError) in
                let line = try source.text(bytes)
                return try fields.read(Array(line.utf8), source.name, line: number)
            }
        case .texts(let files):
            while window.texts.count < count, file < files.count {
                let (path, name) = files[file]
                let source = try SourceFile(path: path, name: path)
                let text = try source.text(0..<source.data.count)
                let embedder = embedder
                let special = embedder.tokenCount("")
                let chunks = TextChunks(text, size) { embedder.tokenCount($0) - special }.chunks
                for (number, chunk) in chunks.enumerated() {
                    let text = IndexedText(
                        id: "\(name)#\(number)", text: chunk, metadata: try IndexedText.origin(name, "chunk", number))
                    try check(text, "\(path), chunk \(number)")
                    window.texts.append(text)
                }
                window.ended.append((name, chunks.count))
                file += 1
            }
            window.done = file
        }
        return window
    }

    private func lines(
        _ source: SourceFile, _ count: Int, into window: inout Window,
        _ read: (Range<Int>, Int) throws(ApusError) -> IndexedText
    ) throws(ApusError) {
        while window.texts.count < count, let next = source.line(from: offset) {
            (offset, line) = (next.next, line + 1)
            guard !next.range.isEmpty else {
                window.empty += 1
                continue
            }
            let text = try read(next.range, line)
            try check(text, "\(source.name):\(line)")
            window.texts.append(text)
        }
        window.done = line
    }

    private func check(_ text: IndexedText, _ place: String) throws(ApusError) {
        guard text.text.utf8.count <= Document.maxTextBytes else {
            throw ApusError(
                .stringTooLong, "the text has \(text.text.utf8.count) bytes, \(Document.maxTextBytes) are allowed", place: place)
        }
        try DocumentBatch.checkID(text.id, place: place)
        guard ids.insert(Array(text.id.utf8)).inserted else {
            throw ApusError(.invalidValue, "the id '\(text.id)' came before", place: place, advice: "Give each text an id of its own")
        }
    }
}
