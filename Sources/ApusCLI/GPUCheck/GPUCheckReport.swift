import Foundation

/// What was found out about the devices of a machine, as a page of Markdown.
struct GPUCheckReport {
    enum Outcome: String {
        case passed, failed, skipped
    }

    struct Check {
        var device: String
        var name: String
        var outcome: Outcome
        var detail: String
    }

    struct Speed {
        var device: String
        var batch: Int
        var milliseconds: Double
        var textsPerSecond: Double
        /// Times the CPU's.
        var ratio: Double
    }

    var machine: [(String, String)] = []
    private(set) var checks: [Check] = []
    var speeds: [Speed] = []

    var hasFailed: Bool { checks.contains { $0.outcome == .failed } }

    mutating func add(_ device: String, _ name: String, _ outcome: Outcome, _ detail: String) {
        checks.append(Check(device: device, name: name, outcome: outcome, detail: detail))
    }

    var markdown: String {
        var text = "# Device check, \(Date.now.ISO8601Format())\n\n"
        for (name, value) in machine { text += "- \(name): \(value)\n" }
        text += "\n| device | check | outcome | detail |\n|---|---|---|---|\n"
        for check in checks {
            text += "| \(check.device) | \(check.name) | \(check.outcome.rawValue) | \(Self.cell(check.detail)) |\n"
        }
        if !speeds.isEmpty {
            text += "\n| device | texts in a call | ms | texts/s | times the CPU's |\n|---|---|---|---|---|\n"
            for speed in speeds {
                text += "| \(speed.device) | \(speed.batch) | \(Self.number(speed.milliseconds)) | \(Self.number(speed.textsPerSecond)) | \(Self.number(speed.ratio)) |\n"
            }
        }
        return text
    }

    private static func cell(_ text: String) -> String {
        text.replacing("|", with: "/").replacing("\n", with: " ")
    }

    private static func number(_ value: Double) -> String {
        String(format: value >= 100 ? "%.0f" : "%.2f", value)
    }
}
