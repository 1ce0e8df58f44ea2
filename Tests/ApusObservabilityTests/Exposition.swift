import ApusObservability

/// Prometheus text read back line by line, strictly.
struct Exposition {
    struct Sample: Equatable {
        var name: String
        var labels: [String: String]
        var value: Double
    }

    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    private(set) var types: [String: String] = [:]
    private(set) var helps: [String: String] = [:]
    private(set) var samples: [Sample] = []

    init(_ registry: PrometheusRegistry) throws {
        try self.init(String(decoding: registry.text(), as: UTF8.self))
    }

    init(_ text: String) throws {
        guard text.isEmpty || text.hasSuffix("\n") else { throw Malformed(description: "the last line does not end") }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            switch (words.first, words.dropFirst().first) {
            case ("#", "TYPE") where words.count == 4:
                guard types.updateValue(String(words[3]), forKey: String(words[2])) == nil else {
                    throw Malformed(description: "a second TYPE line: \(line)")
                }
            case ("#", "HELP") where words.count == 4:
                guard types[String(words[2])] == nil, helps.updateValue(String(words[3]), forKey: String(words[2])) == nil else {
                    throw Malformed(description: "HELP must come once and before TYPE: \(line)")
                }
            default:
                samples.append(try Self.sample(line))
            }
        }
    }

    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples.first { $0.name == name && $0.labels == labels }?.value
    }

    private static func sample(_ line: Substring) throws -> Sample {
        var rest = line
        let name = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
        guard let first = name.first, !first.isNumber else { throw Malformed(description: "no name: \(line)") }
        rest = rest.dropFirst(name.count)
        var labels: [String: String] = [:]
        if rest.popIf("{") {
            repeat {
                let key = rest.prefix { $0 != "=" }
                rest = rest.dropFirst(key.count + 1)
                guard rest.popIf("\"") else { throw Malformed(description: "no quote: \(line)") }
                var value = ""
                while let character = rest.popFirst(), character != "\"" {
                    guard character == "\\" else {
                        value.append(character)
                        continue
                    }
                    switch rest.popFirst() {
                    case "n": value.append("\n")
                    case "\\": value.append("\\")
                    case "\"": value.append("\"")
                    default: throw Malformed(description: "an unknown escape: \(line)")
                    }
                }
                labels[String(key)] = value
            } while rest.popIf(",")
            guard rest.popIf("}") else { throw Malformed(description: "no closing brace: \(line)") }
        }
        guard rest.popIf(" ") else { throw Malformed(description: "no space: \(line)") }
        let number = rest == "+Inf" ? "inf" : rest == "-Inf" ? "-inf" : String(rest)
        guard let value = Double(number) else { throw Malformed(description: "no number: \(line)") }
        return Sample(name: String(name), labels: labels, value: value)
    }
}

extension Substring {
    fileprivate mutating func popIf(_ character: Character) -> Bool {
        guard first == character else { return false }
        removeFirst()
        return true
    }
}
