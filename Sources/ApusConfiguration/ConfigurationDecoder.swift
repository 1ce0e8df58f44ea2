import ApusErrors
import ApusPlacement
import ApusTensor

/// Checks one key's value against its kind.
struct ConfigurationDecoder {
    let key: String
    let origin: ConfigurationOrigin
    private(set) var problems: [ConfigurationProblem] = []

    init(key: String, origin: ConfigurationOrigin) {
        self.key = key
        self.origin = origin
    }

    /// The value, or nil after something was added to ``problems``.
    mutating func value(_ node: ConfigurationNode, _ kind: ConfigurationKey.Kind) -> ConfigurationKey.Value? {
        switch kind {
        case .flag: flag(node).map { .flag($0) }
        case .integer(let range): integer(node, range, key).map { .integer($0) }
        case .number(let range): number(node, range, key).map { .number($0) }
        case .segments(let range): segments(node, range, key).map { .segments($0) }
        case .text: text(node, key).map { .text($0) }
        case .texts: list(node) { $0.text($1, $2) }.map { .texts($0) }
        case .choice(let names): choice(node, names, key).map { .text($0) }
        case .choices(let names): list(node) { $0.choice($1, names, $2) }.map { .texts($0) }
        case .integers(let range): list(node) { $0.integer($1, range, $2) }.map { .integers($0) }
        case .devices: list(node) { $0.device($1, $2) }.map { .devices($0) }
        case .splits: list(node) { $0.split($1, $2) }.map { .splits($0) }
        case .models: list(node) { $0.model($1, $2) }.map { .models($0) }
        case .keys: keys(node).map { .keys($0) }
        case .assignments(let range): assignments(node, range).map { .assignments($0) }
        }
    }

    private mutating func flag(_ node: ConfigurationNode) -> Bool? {
        guard case .flag(let value) = node.content else { return wrong(node, "true or false", key) }
        return value
    }

    mutating func integer(_ node: ConfigurationNode, _ range: ClosedRange<Int>, _ key: String) -> Int? {
        guard case .integer(let value) = node.content else { return wrong(node, "a whole number", key) }
        guard range.contains(value) else {
            return refuse(node, "\(value) is outside \(range.lowerBound) to \(range.upperBound)", key)
        }
        return value
    }

    mutating func number(_ node: ConfigurationNode, _ range: ClosedRange<Double>, _ key: String) -> Double? {
        let value: Double
        switch node.content {
        case .integer(let whole): value = Double(whole)
        case .number(let number): value = number
        default: return wrong(node, "a number", key)
        }
        guard range.contains(value) else {
            return refuse(node, "\(value) is outside \(range.lowerBound) to \(range.upperBound)", key)
        }
        return value
    }

    /// A number in `range`, or `auto`.
    mutating func segments(_ node: ConfigurationNode, _ range: ClosedRange<Int>, _ key: String) -> Configuration.Segments? {
        if case .text(let value) = node.content {
            guard value == "auto" else { return refuse(node, "\(value.debugDescription) is neither a whole number nor auto", key) }
            return .auto
        }
        return integer(node, range, key).map { .count($0) }
    }

    mutating func text(_ node: ConfigurationNode, _ key: String) -> String? {
        guard case .text(let value) = node.content, !value.isEmpty else { return wrong(node, "a text", key) }
        return value
    }

    mutating func choice(_ node: ConfigurationNode, _ names: [String], _ key: String) -> String? {
        guard case .text(let value) = node.content else { return wrong(node, "one of \(names.joined(separator: ", "))", key) }
        guard names.contains(value) else {
            let near = NearestName.of(value, among: names).map { ": did you mean '\($0)'?" } ?? ""
            return refuse(node, "\(value.debugDescription) is none of \(names.joined(separator: ", "))\(near)", key)
        }
        return value
    }

    /// All elements, or nil when one of them is refused.
    mutating func list<Element>(
        _ node: ConfigurationNode, _ element: (inout Self, ConfigurationNode, String) -> Element?
    ) -> [Element]? {
        list(node, key, element)
    }

    mutating func list<Element>(
        _ node: ConfigurationNode, _ key: String, _ element: (inout Self, ConfigurationNode, String) -> Element?
    ) -> [Element]? {
        guard case .list(let nodes) = node.content else { return wrong(node, "a list", key) }
        let before = problems.count
        var elements: [Element] = []
        for (index, node) in nodes.enumerated() {
            if let value = element(&self, node, "\(key)[\(index)]") { elements.append(value) }
        }
        return problems.count == before ? elements : nil
    }

    private mutating func device(_ node: ConfigurationNode, _ key: String) -> DeviceID? {
        guard let name = text(node, key) else { return nil }
        return DeviceID(name) ?? refuse(node, "\(name.debugDescription) is no device: a kind and a number are wanted, as in cuda:0", key)
    }

    private mutating func split(_ node: ConfigurationNode, _ key: String) -> SplitPoint? {
        guard let text = text(node, key) else { return nil }
        do throws(ApusError) {
            return try SplitPoint(text, place: key)
        } catch {
            return refuse(node, error.advice.map { "\(error.message). \($0)" } ?? error.message, key)
        }
    }

    private mutating func assignments(_ node: ConfigurationNode, _ range: ClosedRange<Int>) -> [String: Int]? {
        guard case .section(let entries) = node.content else { return wrong(node, "a section", key) }
        let before = problems.count
        var values: [String: Int] = [:]
        for entry in entries { values[entry.key] = integer(entry.value, range, "\(key).\(entry.key)") }
        return problems.count == before ? values : nil
    }

    private mutating func model(_ node: ConfigurationNode, _ place: String) -> Configuration.Model? {
        guard case .section(let entries) = node.content else {
            return text(node, place).map { Configuration.Model(source: $0) }
        }
        let before = problems.count
        var sources: [String] = []
        var model = Configuration.Model(source: "")
        for entry in entries {
            let key = "\(place).\(entry.key)"
            switch entry.key {
            case "path", "name": if let source = text(entry.value, key) { sources.append(source) }
            case "id": model.id = text(entry.value, key)
            case "precision": model.precision = choice(entry.value, ConfigurationSchema.precisions, key).flatMap(Precision.init)
            case "precision_floor": model.precisionFloor = number(entry.value, ConfigurationSchema.floors, key)
            case "segments": model.segments = segments(entry.value, ConfigurationSchema.segmentCounts, key)
            case "offload": model.offload = choice(entry.value, ConfigurationSchema.offloads, key).flatMap(Configuration.Offload.init)
            case "max_tokens": model.maxTokens = integer(entry.value, 1...1 << 20, key)
            case "batching", "parallel":
                let section = section(entry.key, entry.value, key)
                if entry.key == "batching" { model.batching = section?.batching ?? model.batching }
                if entry.key == "parallel" { model.parallel = section?.parallel ?? model.parallel }
            default: unknown(entry, key, among: ["path", "name", "id", "precision", "precision_floor", "segments", "offload", "max_tokens", "batching", "parallel"])
            }
        }
        guard problems.count == before else { return nil }
        guard sources.count == 1 else { return refuse(node, "a model has one of 'path' and 'name'", place) }
        model.source = sources[0]
        return model
    }

    /// A configuration with the settings of `section`, said of one model.
    private mutating func section(_ section: String, _ node: ConfigurationNode, _ place: String) -> Configuration? {
        var configuration = Configuration()
        let before = problems.count
        read(node, place, section, &configuration)
        return problems.count == before ? configuration : nil
    }

    private mutating func read(_ node: ConfigurationNode, _ place: String, _ section: String, _ configuration: inout Configuration) {
        guard case .section(let entries) = node.content else {
            _ = wrong(node, "a section", place) as Never?
            return
        }
        for entry in entries {
            let path = "\(section).\(entry.key)"
            if let key = ConfigurationSchema.keys.first(where: { $0.path == path }) {
                var decoder = Self(key: "\(place).\(entry.key)", origin: origin(entry.line))
                if let value = decoder.value(entry.value, key.kind) { key.apply(&configuration, value) }
                problems += decoder.problems
            } else if ConfigurationSchema.keys.contains(where: { $0.path?.hasPrefix(path + ".") == true }) {
                read(entry.value, "\(place).\(entry.key)", path, &configuration)
            } else {
                let siblings = ConfigurationSchema.keys.compactMap(\.path).filter { $0.hasPrefix(section + ".") }
                unknown(
                    entry, "\(place).\(entry.key)",
                    among: siblings.map { String($0.dropFirst(section.utf8.count + 1).prefix { $0 != "." }) })
            }
        }
    }

    mutating func unknown(_ entry: ConfigurationNode.Entry, _ path: String, among names: [String]) {
        let hint = NearestName.of(entry.key, among: names).map { ": did you mean '\($0)'?" } ?? ""
        problems.append(ConfigurationProblem(origin: origin(entry.line), key: path, message: "unknown key '\(entry.key)'\(hint)"))
    }

    mutating func wrong<Value>(_ node: ConfigurationNode, _ wanted: String, _ key: String) -> Value? {
        refuse(node, "\(wanted) is wanted, not \(node.kind)", key)
    }

    mutating func refuse<Value>(_ node: ConfigurationNode, _ message: String, _ key: String) -> Value? {
        problems.append(ConfigurationProblem(origin: origin(node.line), key: key, message: message))
        return nil
    }

    /// The origin with a node's own line, for values of several lines.
    private func origin(_ line: Int) -> ConfigurationOrigin {
        guard case .file(let name, _) = origin else { return origin }
        return .file(name, line: line)
    }
}
