import ApusDevices
import ApusErrors
package import ApusExecution
package import ApusJSON
import ApusTensor
import CApusKernels
import Crypto
import Foundation

/// Measurements of forms on disk, one file for each model on each kind of device. Anything unreadable counts as absent: a form can always be
/// measured again.
package struct PrecisionStore: Sendable {
    /// What a measurement depends on.
    package struct Key: Sendable, Hashable {
        /// SHA-256 of the weights.
        package var weights: String
        /// SHA-256 of the files that say how they are used.
        package var files: String
        /// Kind, name, and how its cores are shared out.
        package var device: String
        /// The driver's version; empty for CPUs.
        package var driver: String
        /// The engine's version.
        package var engine: String
        /// What the CPU computes with.
        package var features: String

        package init(weights: String, files: String, device: String, driver: String, engine: String, features: String) {
            self.weights = weights
            self.files = files
            self.device = device
            self.driver = driver
            self.engine = engine
            self.features = features
        }

        fileprivate var name: String {
            let text = [files, device, driver, engine, features, "kernels \(apus_kernels_version())"].joined(separator: "\u{0}")
            let digest = SHA256.hash(data: Data(text.utf8)).prefix(12).map { String(format: "%02x", $0) }.joined()
            return "\(weights.prefix(16))-\(digest)"
        }
    }

    /// Nil when no folder can be written: nothing is remembered then.
    package let directory: String?
    /// Changes when the sample, the graphs or the way of measuring do.
    private static let version = 1
    private static let mostBytes = 1 << 16

    package init(directory: String?) {
        self.directory = directory
    }

    /// What is known of forms, by form.
    package func candidates(_ key: Key) -> [NetworkForm: PrecisionChoice.Candidate] {
        guard let reader = file(key)?.read(),
            (try? reader.integer("version")) == Self.version, (try? reader.string("weights")) == key.weights,
            (try? reader.string("device")) == key.device, let values = try? reader.array("candidates")
        else { return [:] }
        var candidates: [NetworkForm: PrecisionChoice.Candidate] = [:]
        for value in values {
            guard let entry = try? JSONReader(value), let name = try? entry.string("form"),
                let form = NetworkForm.allCases.first(where: { $0.description == name })
            else { continue }
            candidates[form] = Self.outcome(entry).map { PrecisionChoice.Candidate(form, $0) }
        }
        return candidates
    }

    /// Adds to what is known, in the place of older measurements of the same forms. A full disk costs only the time to measure again.
    package func store(_ measured: [PrecisionChoice.Candidate], _ key: Key) {
        guard let file = file(key) else { return }
        var known = candidates(key)
        for candidate in measured { known[candidate.form] = candidate }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", Self.version)
        writer.member("weights", key.weights)
        writer.member("device", key.device)
        writer.member("driver", key.driver)
        writer.member("engine", key.engine)
        writer.member("features", key.features)
        writer.key("candidates")
        writer.beginArray()
        for form in NetworkForm.allCases { if let candidate = known[form] { candidate.write(to: &writer) } }
        writer.endArray()
        writer.endObject()
        file.write(writer.bytes)
    }

    private static func outcome(_ entry: JSONReader) -> PrecisionChoice.Candidate.Outcome? {
        if let reason = try? entry.optionalString("failure") { return .failed(reason) }
        guard let cosine = try? entry.number("cosine"), (-1.0...1.000001).contains(cosine) else { return nil }
        func speed(_ key: String) -> Double? { (try? entry.optionalNumber(key)).flatMap { $0 }.flatMap { $0 > 0 && $0.isFinite ? $0 : nil } }
        return .measured(
            .init(
                cosine: cosine, shortTokensPerSecond: speed("short_tokens_per_second"), longTokensPerSecond: speed("long_tokens_per_second")))
    }

    private func file(_ key: Key) -> MeasurementFile? { directory.map { MeasurementFile("\($0)/\(key.name).json", mostBytes: Self.mostBytes) } }
}

extension PrecisionChoice.Candidate {
    /// As the store keeps it and as commands print it.
    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("form", form.description)
        writer.member("precision", form.precision.rawValue)
        switch outcome {
        case .failed(let reason): writer.member("failure", reason)
        case .measured(let figures):
            writer.key("cosine")
            writer.number(figures.cosine)
            for (name, speed) in [
                ("short_tokens_per_second", figures.shortTokensPerSecond), ("long_tokens_per_second", figures.longTokensPerSecond),
            ] {
                writer.key(name)
                if let speed { writer.number(speed) } else { writer.null() }
            }
        }
        writer.endObject()
    }
}
