/// Names, escapes and numbers of Prometheus' text exposition format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
///
/// Written here because the usual Swift library for it is not among the packages this project can reach.
enum PrometheusText {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; every other byte becomes `_`.
    static func metricName(_ name: String) -> String {
        String(decoding: sanitised(name, colons: true), as: UTF8.self)
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`; every other byte becomes `_`.
    static func labelName(_ name: String) -> [UInt8] {
        sanitised(name, colons: false)
    }

    private static func sanitised(_ name: String, colons: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(name.utf8.count)
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
                bytes.append(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if bytes.isEmpty { bytes.append(UInt8(ascii: "_")) }
                bytes.append(byte)
            case UInt8(ascii: ":") where colons:
                bytes.append(byte)
            default:
                bytes.append(UInt8(ascii: "_"))
            }
        }
        return bytes.isEmpty ? [UInt8(ascii: "_")] : bytes
    }

    /// Backslash and line feed escaped, and the double quote where `quotes` says that the text stands between quotes.
    static func appendEscaped(_ text: String, quotes: Bool, to bytes: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"):
                bytes.append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\n"):
                bytes.append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\"") where quotes:
                bytes.append(contentsOf: #"\""#.utf8)
            default:
                bytes.append(byte)
            }
        }
    }

    /// Go's float syntax: integers without a fraction, `+Inf`, `-Inf`, `NaN`.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.description
    }
}
