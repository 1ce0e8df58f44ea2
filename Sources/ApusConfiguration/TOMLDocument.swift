import TOMLKit

/// Turns TOML text into a tree. TOMLKit gives values without their lines; ``TOMLLines`` finds those.
enum TOMLDocument {
    static func parse(_ text: String, name: String) -> (root: ConfigurationNode, problems: [ConfigurationProblem]) {
        let lines = TOMLLines(text)
        var problems = lines.duplicates.map { duplicate in
            ConfigurationProblem(
                origin: .file(name, line: duplicate.line), key: duplicate.path,
                message: "the key is written twice, first in line \(duplicate.firstLine)")
        }
        problems += lines.namelessHeaders.map { line in
            ConfigurationProblem(origin: .file(name, line: line), key: "", message: "this is not TOML: a table has no name")
        }
        problems += lines.unmatchedBrackets.map { line in
            ConfigurationProblem(origin: .file(name, line: line), key: "", message: "this is not TOML: brackets do not match")
        }
        problems += lines.dates.map { line in
            ConfigurationProblem(origin: .file(name, line: line), key: "", message: "no setting is a date or a time")
        }
        do {
            let table = try TOMLTable(string: lines.soundText)
            return (section(table, path: "", line: 1, lines), problems)
        } catch {
            let line = (error as? TOMLParseError)?.source.begin.line ?? 1
            let message = (error as? TOMLParseError)?.description ?? "\(error)"
            let problem = ConfigurationProblem(origin: .file(name, line: line), key: "", message: "this is not TOML: \(message)")
            return (ConfigurationNode(content: .section([]), line: 1), problems + [problem])
        }
    }

    private static func section(_ table: TOMLTable, path: String, line: Int, _ lines: TOMLLines) -> ConfigurationNode {
        var entries: [ConfigurationNode.Entry] = []
        for (key, value) in table {
            let keyPath = path.isEmpty ? key : "\(path).\(key)"
            let keyLine = lines.line(of: keyPath) ?? line
            entries.append(ConfigurationNode.Entry(key: key, line: keyLine, value: node(value, path: keyPath, line: keyLine, lines)))
        }
        // TOMLKit sorts by name; problems are to come in the order of the file.
        entries.sort { ($0.line, $0.key) < ($1.line, $1.key) }
        return ConfigurationNode(content: .section(entries), line: line)
    }

    private static func node(_ value: any TOMLValueConvertible, path: String, line: Int, _ lines: TOMLLines) -> ConfigurationNode {
        if let table = value.table { return section(table, path: path, line: line, lines) }
        if let array = value.array {
            let elements = array.enumerated().map { index, element in
                let elementPath = "\(path)[\(index)]"
                return node(element, path: elementPath, line: lines.line(of: elementPath) ?? line, lines)
            }
            return ConfigurationNode(content: .list(elements), line: line)
        }
        let content: ConfigurationNode.Content =
            if let flag = value.bool { .flag(flag) } else if let integer = value.int { .integer(integer) }
            else if let number = value.double { .number(number) } else if let text = value.string { .text(text) }
            else { .text(value.debugDescription) }
        return ConfigurationNode(content: content, line: line)
    }
}
