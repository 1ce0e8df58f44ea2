import ApusDevices
import ApusErrors
import ApusJSON
import Foundation

/// What was measured of a quantised copy of a model when it was written, kept beside it: the weights that it was made from are not there to be
/// compared with any more.
package enum QuantizationRecord {
    static let file = "apus_quantization.json"
    private static let version = 1
    private static let mostBytes = 4_096

    /// Throws `file_unwritable`.
    package static func write(cosine: Double, sourceSHA256: String, into directory: String) throws(ApusError) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", version)
        writer.key("cosine_to_fp32")
        writer.number(cosine)
        writer.member("source_sha256", sourceSHA256)
        writer.endObject()
        let path = "\(directory)/\(file)"
        do {
            try Data(writer.bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw ApusError(.fileUnwritable, "what was measured cannot be written", place: path, cause: error)
        }
    }

    /// The lowest cosine to fp32 of the weights before they were quantised; nil where nothing sound is recorded.
    static func cosine(in directory: String) -> Double? {
        guard let reader = MeasurementFile("\(directory)/\(file)", mostBytes: mostBytes).read(), (try? reader.integer("version")) == version,
            let cosine = try? reader.number("cosine_to_fp32"), (-1...1).contains(cosine)
        else { return nil }
        return cosine
    }
}
