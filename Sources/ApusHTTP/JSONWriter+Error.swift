import ApusErrors
import ApusJSON

extension JSONWriter {
    /// OpenAI's error object: message, type, param and code. Causes stay inside: they may name files or libraries of this machine.
    mutating func error(_ error: ApusError) {
        let row = StatusTable.row(for: error.code)
        var message = ""
        if let place = error.place { message += "\(place): " }
        message += error.message
        if let advice = error.advice { message += ". \(advice)" }
        beginObject()
        member("message", message)
        member("type", row.status < 500 ? "invalid_request_error" : "server_error")
        key("param")
        if row.namesParam, let place = error.place { string(place) } else { null() }
        member("code", error.code.rawValue)
        endObject()
    }
}
