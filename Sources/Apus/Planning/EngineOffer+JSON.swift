package import ApusErrors
import ApusJSON

extension EngineOffer.Answer {
    /// One line of JSON.
    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        switch self {
        case .failure(let error):
            writer.member("error", error.code.rawValue)
            writer.member("message", error.cause.map { "\(error.message) (\($0))" } ?? error.message)
            if let place = error.place { writer.member("place", place) }
            if let advice = error.advice { writer.member("advice", advice) }
        case .offer(let offer):
            writer.member("version", offer.version)
            writer.key("providers")
            writer.beginArray()
            for provider in offer.providers { writer.string(provider) }
            writer.endArray()
            Self.write(offer.devices.map { [("provider", $0.provider), ("name", $0.name)] }, as: "devices", to: &writer)
            Self.write(offer.refused.map { [("provider", $0.provider), ("library", $0.library), ("reason", $0.reason)] }, as: "refused", to: &writer)
        }
        writer.endObject()
        return writer.bytes
    }

    /// Throws `invalid_json` and `invalid_value` for anything that ``json`` does not write.
    package init(_ json: [UInt8]) throws(ApusError) {
        let reader = try JSONReader(JSONValue(parsing: json))
        if let code = try? reader.string("error") {
            self = .failure(
                ApusError(
                    ApusError.Code(rawValue: code), try reader.string("message"), place: try? reader.string("place"),
                    advice: try? reader.string("advice")))
            return
        }
        var offer = EngineOffer(version: try reader.string("version"))
        for value in try reader.array("providers") { offer.providers.append(try value.stringValue(at: "providers")) }
        for value in try reader.array("devices") {
            let entry = try JSONReader(value)
            offer.devices.append(EngineOffer.Device(provider: try entry.string("provider"), name: try entry.string("name")))
        }
        for value in try reader.array("refused") {
            let entry = try JSONReader(value)
            offer.refused.append(EngineOffer.Refusal(
                    provider: try entry.string("provider"), library: try entry.string("library"), reason: try entry.string("reason")))
        }
        self = .offer(offer)
    }

    private static func write(_ rows: [[(String, String)]], as key: String, to writer: inout JSONWriter) {
        writer.key(key)
        writer.beginArray()
        for row in rows {
            writer.beginObject()
            for (name, value) in row { writer.member(name, value) }
            writer.endObject()
        }
        writer.endArray()
    }
}
