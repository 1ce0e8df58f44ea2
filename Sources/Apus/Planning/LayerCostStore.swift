import ApusDevices
import ApusErrors
import ApusExecution
import ApusJSON
import Crypto
import Foundation

/// Measurements of layers on disk, one file for each model on each kind of device. Anything unreadable counts as absent: layers can always be measured
/// again.
package struct LayerCostStore: Sendable {
    /// What a measurement depends on.
    package struct Key: Sendable, Hashable {
        /// SHA-256 of the weights.
        package var weights: String
        /// Kind and name.
        package var device: String
        /// The engine's version.
        package var engine: String
        /// What the layers are: their number, or the nodes of each.
        package var layers: String

        package init(weights: String, device: String, engine: String, layers: String) {
            self.weights = weights
            self.device = device
            self.engine = engine
            self.layers = layers
        }

        fileprivate var name: String {
            let text = [device, engine, layers].joined(separator: "\u{0}")
            let digest = SHA256.hash(data: Data(text.utf8)).prefix(12).map { String(format: "%02x", $0) }.joined()
            return "\(weights.prefix(16))-\(digest)"
        }
    }

    /// Nil when no folder can be written: nothing is remembered then.
    package let directory: String?
    /// Changes when layers are measured in another way.
    private static let version = 2
    private static let mostBytes = 1 << 20

    package init(directory: String?) {
        self.directory = directory
    }

    /// Seconds a token of each layer, by what it was measured in: a form, or a file's precision.
    package func seconds(_ key: Key) -> [String: [Double]] {
        guard let reader = file(key)?.read(),
            (try? reader.integer("version")) == Self.version, (try? reader.string("weights")) == key.weights,
            (try? reader.string("layers")) == key.layers, let entries = try? reader.array("measured")
        else { return [:] }
        var measured: [String: [Double]] = [:]
        for value in entries {
            guard let entry = try? JSONReader(value), let form = try? entry.string("form"), let seconds = try? entry.array("seconds_per_token") else { continue }
            let numbers = seconds.compactMap { try? $0.numberValue(at: "seconds_per_token", code: .invalidValue) }.filter { $0 > 0 && $0.isFinite }
            if numbers.count == seconds.count, !numbers.isEmpty { measured[form] = numbers }
        }
        return measured
    }

    /// Adds to what is known. A full disk costs only the time to measure again.
    package func store(_ seconds: [Double], in form: String, _ key: Key) {
        guard let file = file(key) else { return }
        var known = self.seconds(key)
        known[form] = seconds
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", Self.version)
        writer.member("weights", key.weights)
        writer.member("device", key.device)
        writer.member("engine", key.engine)
        writer.member("layers", key.layers)
        writer.key("measured")
        writer.beginArray()
        for (form, seconds) in known.sorted(by: { $0.key < $1.key }) {
            writer.beginObject()
            writer.member("form", form)
            writer.key("seconds_per_token")
            writer.beginArray()
            for number in seconds { writer.number(number) }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        file.write(writer.bytes)
    }

    private func file(_ key: Key) -> MeasurementFile? { directory.map { MeasurementFile("\($0)/\(key.name).json", mostBytes: Self.mostBytes) } }
}
