import Yams

/// Turns YAML text into a tree.
enum YAMLDocument {
    /// Aliases can multiply a small text; more nodes than this are refused.
    private static let nodeLimit = 100_000

    static func parse(_ text: String, name: String) -> (root: ConfigurationNode, problems: [ConfigurationProblem]) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var problems: [ConfigurationProblem] = []
        var hidden: Set<Int> = []
        let empty = ConfigurationNode(content: .section([]), line: 1)
        // Yams stops at the first mapping with a key written twice. To find what else is wrong, the second one is renamed and left out.
        while true {
            do {
                guard let node = try Yams.compose(yaml: lines.joined(separator: "\n")) else { return (empty, problems) }
                var converter = Converter(hiddenLines: hidden, nodesLeft: nodeLimit)
                let root = converter.convert(node, line: 1)
                guard converter.nodesLeft > 0 else {
                    return (empty, problems + [problem(name, 1, "", "the file has more than \(nodeLimit) values, aliases counted")])
                }
                return (root, problems)
            } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
                let key = keys.first ?? ""
                let first = context.mark
                guard let second = renameSecond(key, after: first, in: &lines) else {
                    return (empty, problems + [problem(name, first.line, key, "the key is written twice")])
                }
                hidden.insert(second)
                problems.append(problem(name, second, key, "the key is written twice, first in line \(first.line)"))
            } catch {
                return (empty, problems + [syntaxProblem(error, name)])
            }
        }
    }

    /// Renames the next key of the same name and column in the same block.
    /// - Returns: its line, or nil when it is not found, for instance within braces.
    private static func renameSecond(_ key: String, after first: Mark, in lines: inout [String]) -> Int? {
        guard first.line >= 1 else { return nil }
        for index in lines.indices.dropFirst(first.line) {
            let line = lines[index]
            let content = line.drop { $0 == " " }
            guard !content.isEmpty, !content.hasPrefix("#") else { continue }
            let column = line.unicodeScalars.count - content.unicodeScalars.count + 1
            if column < first.column { return nil }
            guard column == first.column else { continue }
            for spelling in [key, "\"\(key)\"", "'\(key)'"] where content.hasPrefix(spelling) {
                let rest = content.dropFirst(spelling.count)
                guard rest.drop(while: { $0 == " " }).hasPrefix(":") else { continue }
                let indent = String(repeating: " ", count: column - 1)
                lines[index] = "\(indent)\"\(key) (line \(index + 1))\"\(rest)"
                return index + 1
            }
        }
        return nil
    }

    private static func problem(_ name: String, _ line: Int, _ key: String, _ message: String) -> ConfigurationProblem {
        ConfigurationProblem(origin: .file(name, line: line), key: key, message: message)
    }

    private static func syntaxProblem(_ error: any Error, _ name: String) -> ConfigurationProblem {
        switch error {
        case YamlError.scanner(_, let message, let mark, _), YamlError.parser(_, let message, let mark, _),
            YamlError.composer(_, let message, let mark, _):
            problem(name, mark.line, "", "this is not YAML: \(message)")
        case YamlError.reader(let message, _, _, _):
            problem(name, 1, "", "this is not YAML: \(message)")
        default:
            problem(name, 1, "", "this is not YAML: \(error)")
        }
    }

    private struct Converter {
        let hiddenLines: Set<Int>
        var nodesLeft: Int

        mutating func convert(_ node: Node, line: Int) -> ConfigurationNode {
            let line = node.mark?.line ?? line
            nodesLeft -= 1
            guard nodesLeft > 0 else { return ConfigurationNode(content: .null, line: line) }
            switch node {
            case .scalar(let scalar):
                return ConfigurationNode(content: Self.content(node, scalar), line: line)
            case .sequence(let sequence):
                return ConfigurationNode(content: .list(sequence.map { convert($0, line: line) }), line: line)
            case .mapping(let mapping):
                var entries: [ConfigurationNode.Entry] = []
                for (key, value) in mapping {
                    let keyLine = key.mark?.line ?? line
                    guard !hiddenLines.contains(keyLine) else { continue }
                    let name = key.scalar?.string ?? "(a key that is no text)"
                    entries.append(ConfigurationNode.Entry(key: name, line: keyLine, value: convert(value, line: keyLine)))
                }
                return ConfigurationNode(content: .section(entries), line: line)
            case .alias:
                return ConfigurationNode(content: .null, line: line)
            }
        }

        private static func content(_ node: Node, _ scalar: Node.Scalar) -> ConfigurationNode.Content {
            guard scalar.style == .plain || scalar.style == .any else { return .text(scalar.string) }
            if node.null != nil { return .null }
            if let flag = node.bool { return .flag(flag) }
            if let integer = node.int { return .integer(integer) }
            if let number = node.float { return .number(number) }
            return .text(scalar.string)
        }
    }
}
