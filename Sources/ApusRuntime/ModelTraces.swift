import ApusTensor
import Foundation

/// The traces of one model's profiled steps, on their way into one file.
struct ModelTraces: Sendable {
    struct Step: Sendable {
        var number: Int
        /// What the path of the engine's trace begins with.
        var prefix: String
        /// When the step began, from the beginning of the recording.
        var microseconds: Int
    }

    var model: String
    var steps: [Step] = []

    /// Writes one trace of all steps, in `hidden` at first, and returns its path, where it appears when it is whole. Times count from the
    /// beginning of the recording, and every event tells its step.
    func write(to folder: URL, by hidden: URL, device: DeviceID, began: Date) throws -> String {
        let base = "\(device.kind.rawValue)\(device.index)-\(Self.fileName(model))-\(Self.timestamp(began))"
        var file = folder.appendingPathComponent("\(base).json")
        var copy = 1
        while FileManager.default.fileExists(atPath: file.path) {
            copy += 1
            file = folder.appendingPathComponent("\(base)-\(copy).json")
        }
        let unfinished = hidden.appendingPathComponent("\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: unfinished) }
        try writeEvents(to: unfinished)
        try FileManager.default.moveItem(at: unfinished, to: file)
        return file.path
    }

    private func writeEvents(to file: URL) throws {
        var separator = "[\n"
        try Data().write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        for step in steps.sorted(by: { $0.number < $1.number }) {
            guard let trace = Self.trace(step) else { continue }
            for event in try Self.events(trace, step) {
                try handle.write(contentsOf: Data(separator.utf8))
                try handle.write(contentsOf: event)
                separator = ",\n"
            }
        }
        try handle.write(contentsOf: Data((separator == "[\n" ? "[]\n" : "\n]\n").utf8))
    }

    /// The file that the engine made for `step`: it puts the time of day behind the prefix.
    private static func trace(_ step: Step) -> URL? {
        let prefix = URL(fileURLWithPath: step.prefix)
        let folder = prefix.deletingLastPathComponent()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.first { $0.hasPrefix("\(prefix.lastPathComponent)_") }.map(folder.appendingPathComponent)
    }

    private static func events(_ trace: URL, _ step: Step) throws -> [Data] {
        let events = try JSONSerialization.jsonObject(with: Data(contentsOf: trace)) as? [[String: Any]] ?? []
        return try events.map { event in
            var event = event
            if let time = event["ts"] as? Int { event["ts"] = time + step.microseconds }
            var arguments = event["args"] as? [String: Any] ?? [:]
            arguments["step"] = step.number
            event["args"] = arguments
            return try JSONSerialization.data(withJSONObject: event, options: [.sortedKeys, .withoutEscapingSlashes])
        }
    }

    /// `name` with whatever is special in paths replaced.
    private static func fileName(_ name: String) -> String {
        let safe = String(name.unicodeScalars.prefix(100).map { scalar -> Character in
            scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || "-_.".unicodeScalars.contains(scalar))
                ? Character(scalar) : "_"
        })
        return safe.isEmpty ? "model" : safe
    }

    /// `20261121T063500Z`.
    private static func timestamp(_ date: Date) -> String {
        date.formatted(
            .iso8601.year().month().day().dateSeparator(.omitted).dateTimeSeparator(.standard).time(includingFractionalSeconds: false)
                .timeSeparator(.omitted)) + "Z"
    }
}
