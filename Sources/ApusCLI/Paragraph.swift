/// Running text in lines of at most 80 columns.
struct Paragraph {
    static let width = 80

    let text: String

    /// Breaks at spaces; a word that is longer than a line stands on a line of its own.
    /// - Parameters:
    ///   - first: in front of the first line; the others are indented as far.
    init(_ words: String, first: String = "") {
        let indent = String(repeating: " ", count: first.count)
        var lines: [String] = []
        var line = first
        var isEmpty = true
        for word in words.split(whereSeparator: \.isWhitespace) {
            if !isEmpty, line.count + 1 + word.count > Self.width {
                lines.append(line)
                (line, isEmpty) = (indent, true)
            }
            line += isEmpty ? String(word) : " \(word)"
            isEmpty = false
        }
        lines.append(line)
        text = lines.joined(separator: "\n") + "\n"
    }
}
