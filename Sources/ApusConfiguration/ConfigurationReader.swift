import ApusErrors
import ApusTensor

/// Applies layers of settings to a configuration and collects all that is wrong on the way.
struct ConfigurationReader {
    private(set) var configuration = Configuration()
    private(set) var problems: [ConfigurationProblem] = []
    /// Where each key was last set.
    private(set) var origins: [String: ConfigurationOrigin] = [:]
    /// The keys in the order in which they were first set.
    private(set) var order: [ConfigurationKey] = []

    private let keys = ConfigurationSchema.keys

    mutating func read(_ file: ConfigurationFile) {
        problems += file.problems
        guard case .section(let entries) = file.root.content else {
            report(.file(file.name, line: file.root.line), "", "a section of settings is wanted, not \(file.root.kind)")
            return
        }
        read(entries, path: "", file.name)
    }

    private mutating func read(_ entries: [ConfigurationNode.Entry], path: String, _ file: String) {
        for entry in entries {
            let entryPath = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            let origin = ConfigurationOrigin.file(file, line: entry.line)
            if let key = keys.first(where: { $0.path == entryPath }) {
                set(key, entry.value, origin)
            } else if keys.contains(where: { $0.path?.hasPrefix(entryPath + ".") == true }) {
                switch entry.value.content {
                case .section(let inner): read(inner, path: entryPath, file)
                case .null: continue
                default: report(origin, entryPath, "a section is wanted, not \(entry.value.kind)")
                }
            } else {
                report(origin, entryPath, "unknown key '\(entry.key)'" + suggestion(entry.key, in: path))
            }
        }
    }

    mutating func read(environment: [String: String]) {
        for key in keys {
            for variable in key.variables {
                guard let text = environment[variable], !text.isEmpty else { continue }
                set(key, ConfigurationNode(text: text, as: key.kind, separator: ","), .environment(variable))
            }
        }
    }

    mutating func read(_ option: ConfigurationOption) {
        guard let key = keys.first(where: { $0.path == option.key }) else {
            return report(.option(option.spelling), option.key, "unknown key '\(option.key)'")
        }
        if case .models = key.kind {
            let models = option.values.map { ConfigurationNode(content: .text($0), line: 1) }
            return set(key, ConfigurationNode(content: .list(models), line: 1), .option(option.spelling))
        }
        for value in option.values.suffix(1) {
            set(key, ConfigurationNode(text: value, as: key.kind, separator: ","), .option(option.spelling))
        }
    }

    /// Adds the keys of the file that `auth.keys_file` names.
    mutating func readKeysFile() {
        guard let path = configuration.auth.keysFile, let origin = origins["auth.keys_file"] else { return }
        let file: ConfigurationFile
        do throws(ApusError) {
            file = try ConfigurationFile(path: path)
        } catch {
            return report(origin, "auth.keys_file", error.description)
        }
        problems += file.problems
        guard file.problems.isEmpty else { return }
        guard case .section(let entries) = file.root.content, let keys = entries.first(where: { $0.key == "keys" }), entries.count == 1 else {
            return report(.file(path, line: file.root.line), "", "a section of nothing but 'keys' is wanted")
        }
        var decoder = ConfigurationDecoder(key: "keys", origin: .file(path, line: keys.line))
        configuration.auth.keys += decoder.keys(keys.value) ?? []
        problems += decoder.problems
    }

    mutating func report(_ origin: ConfigurationOrigin, _ key: String, _ message: String) {
        problems.append(ConfigurationProblem(origin: origin, key: key, message: message))
    }

    private mutating func set(_ key: ConfigurationKey, _ node: ConfigurationNode, _ origin: ConfigurationOrigin) {
        var decoder = ConfigurationDecoder(key: key.name, origin: origin)
        let value = decoder.value(node, key.kind)
        problems += decoder.problems
        guard let value else { return }
        key.apply(&configuration, value)
        if origins.updateValue(origin, forKey: key.name) == nil { order.append(key) }
    }

    private func suggestion(_ name: String, in path: String) -> String {
        let prefix = path.isEmpty ? "" : path + "."
        let paths = keys.compactMap(\.path)
        let siblings = Set(paths.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count).prefix { $0 != "." }) })
        if let near = NearestName.of(name, among: siblings) { return ": did you mean '\(near)'?" }
        let namesakes = paths.filter { $0.split(separator: ".").last.map(String.init) == name }
        if let other = namesakes.first { return ": did you mean '\(other)'?" }
        return path.isEmpty ? "" : "; '\(path)' has \(siblings.sorted().joined(separator: ", "))"
    }
}

extension ConfigurationNode {
    /// A node from the text of a variable or option, for a key that wants `kind`; lists are parted at `separator`.
    init(text: String, as kind: ConfigurationKey.Kind, separator: Character) {
        func list(_ each: (String) -> Content) -> Content {
            let parts = text.split(separator: separator).map { String($0.trimmingPrefix { $0 == " " }) }
            return .list(parts.map { ConfigurationNode(content: each($0), line: 1) })
        }
        func integer(_ text: String) -> Content { Int(text).map(Content.integer) ?? .text(text) }
        let content: Content
        switch kind {
        case .flag:
            switch text.lowercased() {
            case "true", "yes", "on", "1": content = .flag(true)
            case "false", "no", "off", "0": content = .flag(false)
            default: content = .text(text)
            }
        case .integer, .segments: content = integer(text)
        case .number: content = Double(text).map(Content.number) ?? .text(text)
        case .text, .choice, .assignments, .keys: content = .text(text)
        case .choices, .devices, .splits, .models, .texts: content = list(Content.text)
        case .integers: content = list(integer)
        }
        self.init(content: content, line: 1)
    }
}
