/// Text a client sent, made fit to be shown.
package enum ClientText {
    /// `text` between quotes and short: control characters, line separators and marks that reorder text become `\u{…}`, and what is
    /// longer than `limit` scalars ends in an ellipsis. Names from requests go into messages and logs through here only.
    package static func quoted(_ text: String, limit: Int = 80) -> String {
        var shown = "'"
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < limit else {
                shown += "…"
                break
            }
            switch scalar.value {
            case 0x00...0x1F, 0x7F...0x9F, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069:
                shown += "\\u{\(String(scalar.value, radix: 16))}"
            default:
                shown.unicodeScalars.append(scalar)
            }
            count += 1
        }
        return shown + "'"
    }
}
