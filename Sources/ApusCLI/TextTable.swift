/// Columns of text under headings, aligned to the left.
struct TextTable {
    let text: String

    init(_ headings: [String], _ rows: [[String]]) {
        let all = [headings] + rows
        let widths = headings.indices.map { column in
            all.reduce(0) { max($0, $1.indices.contains(column) ? $1[column].count : 0) }
        }
        text = all.map { row in
            let cells = row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }
}
