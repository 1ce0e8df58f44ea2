/// Columns of text under headings, aligned to the left.
struct TextTable {
    let text: String

    /// - Parameter shortened: the column whose cells are cut where the table would be wider than 80 columns.
    init(_ headings: [String], _ rows: [[String]], shortened: Int? = nil) {
        var all = [headings] + rows
        func widths() -> [Int] {
            headings.indices.map { column in
                all.reduce(0) { max($0, $1.indices.contains(column) ? $1[column].count : 0) }
            }
        }
        if let shortened, headings.indices.contains(shortened) {
            let natural = widths()
            let excess = natural.reduce(0, +) + Self.gap.count * (headings.count - 1) - Paragraph.width
            if excess > 0 {
                let width = max(Self.narrowest, natural[shortened] - excess)
                for row in all.indices where all[row].indices.contains(shortened) && all[row][shortened].count > width {
                    all[row][shortened] = all[row][shortened].prefix(width - 1) + "…"
                }
            }
        }
        let final = widths()
        text = all.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: final[column] - cell.count)
            }
            return cells.joined(separator: Self.gap) + "\n"
        }.joined()
    }

    /// A text on one line: controls and line ends, which could steer a terminal, are spaces.
    static func cell(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : $0 }))
    }

    private static let gap = "  "
    private static let narrowest = 4
}
