package import ApusErrors

/// A setting given on the command line.
package struct ConfigurationOption: Sendable {
    /// As the user wrote it, `--port`.
    package let spelling: String
    /// The key it sets, `server.port`.
    package let key: String
    /// All values given; of several only a list takes more than the last.
    package let values: [String]

    package init(_ spelling: String, sets key: String, to values: [String]) {
        self.spelling = spelling
        self.key = key
        self.values = values
    }
}

/// What was read, from all layers.
package struct LoadedConfiguration: Sendable {
    package let configuration: Configuration
    /// One for every setting that is accepted and has no effect here.
    package let notes: [ConfigurationNote]
    /// Where each key was last set; keys that were not set are missing.
    package let origins: [String: ConfigurationOrigin]
}

extension Configuration {
    /// Layers options over environment over file over defaults.
    ///
    /// - Parameters:
    ///   - file: the path of a `.yaml`, `.yml` or `.toml` file, if there is one.
    ///   - environment: all variables of the process; those that are no settings, or empty, are left alone.
    ///   - options: what the command line sets.
    ///   - machine: what settings can ask for.
    /// - Throws: `.fileUnreadable`, or `.invalidConfiguration` with all problems in its message, one a line.
    package static func load(
        file: String?, environment: [String: String], options: [ConfigurationOption] = [], machine: MachineFeatures = MachineFeatures()
    ) throws(ApusError) -> LoadedConfiguration {
        var parsed: ConfigurationFile?
        if let file { parsed = try ConfigurationFile(path: file) }
        return try layer(parsed, environment, options, machine)
    }

    /// Like ``load(file:environment:options:machine:)`` for a file's text.
    /// - Parameter name: the file's name in messages; its ending tells the format.
    package static func load(
        text: String, name: String, environment: [String: String] = [:], options: [ConfigurationOption] = [],
        machine: MachineFeatures = MachineFeatures()
    ) throws(ApusError) -> LoadedConfiguration {
        try layer(try ConfigurationFile(text: text, name: name), environment, options, machine)
    }

    private static func layer(
        _ file: ConfigurationFile?, _ environment: [String: String], _ options: [ConfigurationOption], _ machine: MachineFeatures
    ) throws(ApusError) -> LoadedConfiguration {
        var reader = ConfigurationReader()
        if let file { reader.read(file) }
        reader.read(environment: environment)
        for option in options { reader.read(option) }
        reader.readKeysFile()
        reader.checkTogether(machine)
        guard reader.problems.isEmpty else {
            let lines = reader.problems.map(\.description).joined(separator: "\n")
            let count = reader.problems.count
            throw ApusError(.invalidConfiguration, "the configuration has \(count == 1 ? "a problem" : "\(count) problems"):\n\(lines)")
        }
        return LoadedConfiguration(
            configuration: reader.configuration, notes: reader.notes(machine) + strangers(environment), origins: reader.origins)
    }

    /// Variables that look like ours and are not: probably misspelt.
    private static func strangers(_ environment: [String: String]) -> [ConfigurationNote] {
        let known = ConfigurationSchema.keys.flatMap(\.variables) + ConfigurationSchema.variablesOfOthers
        return environment.keys.filter { $0.hasPrefix("APUS_") && !known.contains($0) }.sorted().map { name in
            let near = NearestName.of(name, among: known.map { $0.lowercased() }).map { ": did you mean '\($0.uppercased())'?" } ?? ""
            return ConfigurationNote(origin: .environment(name), key: name, message: "no such setting\(near)")
        }
    }
}
