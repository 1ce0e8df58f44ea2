#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The `Date` header's value (RFC 9110 section 5.6.7), spelled anew once a second.
struct HTTPDate {
    private var second: time_t?
    private var text = ""

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    var now: String {
        mutating get {
            let second = time(nil)
            if second != self.second {
                self.second = second
                text = Self.text(second)
            }
            return text
        }
    }

    /// - Parameter second: seconds since 1970.
    static func text(_ second: time_t) -> String {
        var second = second
        var parts = tm()
        guard gmtime_r(&second, &parts) != nil,
            weekdays.indices.contains(Int(parts.tm_wday)), months.indices.contains(Int(parts.tm_mon))
        else { return "Thu, 01 Jan 1970 00:00:00 GMT" }
        let clock = "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
        let date = "\(padded(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(Int(parts.tm_year) + 1900)"
        return "\(weekdays[Int(parts.tm_wday)]), \(date) \(clock) GMT"
    }

    private static func padded(_ value: Int32) -> String {
        value < 10 ? "0\(value)" : String(value)
    }
}
