import ApusErrors
import ApusJSON
import Foundation

/// Scores of models on devices, kept in a file so that they are measured once. Anything unreadable counts as absent: a score can always be
/// measured again.
package struct MeasuredScoreStore: Sendable {
    /// What a score depends on.
    package struct Key: Sendable, Hashable {
        /// The device's UUID, or its name and cores where it has none.
        package var device: String
        /// The driver's version; empty for CPUs.
        package var driver: String
        /// The engine's version.
        package var engine: String
        /// SHA-256 of the model's weights, and whatever else tells two ways of running it apart.
        package var model: String

        package init(device: String, driver: String, engine: String, model: String) {
            self.device = device
            self.driver = driver
            self.engine = engine
            self.model = model
        }
    }

    /// Nil when no folder can be written: nothing is remembered then.
    package let path: String?

    package init(path: String?) {
        self.path = path
    }

    /// Texts a second; nil when it was never measured.
    package func score(_ key: Key) -> Double? {
        entries().last { $0.key == key }?.score
    }

    /// Remembers a score that is finite and above 0, and the last ``mostEntries`` of all. A full disk costs only the time to measure again; when two
    /// processes write at once, one score is lost.
    package func record(_ score: Double, for key: Key) {
        guard let file, score.isFinite, score > 0 else { return }
        let kept = (entries().filter { $0.key != key } + [(key, score)]).suffix(Self.mostEntries)
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", Self.version)
        writer.key("scores")
        writer.beginArray()
        for (key, score) in kept {
            writer.beginObject()
            writer.member("device", key.device)
            writer.member("driver", key.driver)
            writer.member("engine", key.engine)
            writer.member("model", key.model)
            writer.key("texts_per_second")
            writer.number(score)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        file.write(writer.bytes)
    }

    package static let mostEntries = 512
    /// Changes when scores are measured in another way.
    private static let version = 1
    private static let mostBytes = 1 << 20

    private var file: MeasurementFile? { path.map { MeasurementFile($0, mostBytes: Self.mostBytes) } }

    private func entries() -> [(key: Key, score: Double)] {
        guard let reader = file?.read(), (try? reader.integer("version")) == Self.version,
            let values = try? reader.array("scores")
        else { return [] }
        return values.compactMap { value in
            guard let entry = try? JSONReader(value), let device = try? entry.string("device"), let driver = try? entry.string("driver"),
                let engine = try? entry.string("engine"), let model = try? entry.string("model"),
                let score = try? entry.number("texts_per_second"), score > 0
            else { return nil }
            return (Key(device: device, driver: driver, engine: engine, model: model), score)
        }
    }
}
