import Foundation

/// One line on a terminal that tells how far long work has come. Silent when nobody watches.
struct ProgressLine {
    private let total: Int
    private let unit: String
    private let started = ContinuousClock.now
    private let visible: Bool
    private static let width = 24

    init(total: Int, unit: String, visible: Bool = Terminal.isWatched) {
        self.total = total
        self.unit = unit
        self.visible = visible
    }

    func update(done: Int) {
        guard visible, total > 0 else { return }
        Terminal.standardError("\r\u{1B}[K" + text(done: done, seconds: started.duration(to: .now) / .seconds(1)))
    }

    func finish() {
        if visible { Terminal.standardError("\r\u{1B}[K") }
    }

    /// `[#####-----] 512/4000 texts, 1,020 texts/s, 3 s left`
    func text(done: Int, seconds: Double) -> String {
        let filled = min(Self.width, total > 0 ? done * Self.width / total : 0)
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: Self.width - filled)
        var line = "[\(bar)] \(done)/\(total) \(unit)"
        guard done > 0, seconds > 0 else { return line }
        let rate = Double(done) / seconds
        line += ", \(rate < 10 ? String(format: "%.1f", rate) : String(Int(rate))) \(unit)/s"
        let left = Double(total - done) / rate
        line += left < 90 ? ", \(Int(left.rounded(.up))) s left" : ", \(Int((left / 60).rounded(.up))) min left"
        return line
    }
}
