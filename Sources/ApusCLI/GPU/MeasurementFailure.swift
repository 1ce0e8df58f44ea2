import ApusJSON

/// A device that could not be measured, and why.
struct MeasurementFailure {
    let device: String
    let reason: String
}

extension [MeasurementFailure] {
    var text: String {
        map { Paragraph("not measured: \($0.reason)", first: "\($0.device): ").text }.joined()
    }

    /// The member `failures` of the object that is being written.
    func write(to writer: inout JSONWriter) {
        writer.key("failures")
        writer.beginArray()
        for failure in self {
            writer.beginObject()
            writer.member("device", failure.device)
            writer.member("reason", failure.reason)
            writer.endObject()
        }
        writer.endArray()
    }
}
