import Foundation

/// Figures as tables show them; a dash stands for what is not known.
enum Figures {
    static let unknown = "-"

    /// Three digits, or all that stand before the point.
    static func number(_ value: Double?) -> String {
        guard let value, value.isFinite else { return unknown }
        guard value != 0 else { return "0" }
        let size = abs(value)
        return String(format: size >= 99.95 ? "%.0f" : size >= 9.995 ? "%.1f" : "%.2f", value)
    }

    /// Four digits behind the point, as scores from 0 to 1 want them.
    static func score(_ value: Float) -> String { String(format: "%.4f", Double(value)) }

    static func percent(_ share: Double?) -> String {
        guard let share, share.isFinite else { return unknown }
        let text = String(format: "%.2f", share * 100)
        return (text.hasSuffix(".00") ? String(text.dropLast(3)) : text) + " %"
    }

    /// `1.2/139.8 GiB`, of figures in MiB.
    static func memory(_ used: Double?, of total: Double?) -> String {
        guard let used, let total, total > 0 else { return used.map { "\(number($0 / 1024)) GiB" } ?? unknown }
        return "\(number(used / 1024))/\(number(total / 1024)) GiB"
    }

    /// `12 MiB`.
    static func bytes(_ count: Int) -> String {
        var (value, unit) = (Double(count), 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1_024, unit < units.count - 1 { (value, unit) = (value / 1_024, unit + 1) }
        return "\(number(value)) \(units[unit])"
    }

    /// `3 d 4 h`, `2 h 5 min`, `41 s`.
    static func duration(_ seconds: Double) -> String {
        let seconds = Int(min(max(0, seconds), 1e12))
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3600: return "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: return "\(seconds / 3600) h \(seconds / 60 % 60) min"
        default: return "\(seconds / 86_400) d \(seconds / 3600 % 24) h"
        }
    }
}
