package import ApusErrors
package import ApusExecution
package import ApusTensor

/// Failures that were asked for with `--chaos`: `cuda:0:oom@100x3,cpu:1:crash@5s`.
///
/// Each is `DEVICE:FAULT@WHEN[xN]`. WHEN is the number of a run on the device, from 1 (`100`), or a time since the device first served
/// (`5s`, `500ms`); N is how many runs fail one after the other, 1 when it is not given.
package struct ChaosScript: Sendable, Equatable {
    package enum Moment: Sendable, Equatable {
        /// The run with this number, from 1.
        case run(Int)
        /// The first run that begins this many nanoseconds after the device first served, or later.
        case time(Int)
    }

    package struct Entry: Sendable, Equatable {
        package var device: DeviceID
        package var fault: StepFault
        package var moment: Moment
        /// Runs that fail, 1 or more.
        package var count: Int

        package init(_ device: DeviceID, _ fault: StepFault, _ moment: Moment, count: Int = 1) {
            self.device = device
            self.fault = fault
            self.moment = moment
            self.count = count
        }
    }

    /// The largest number of a run, and of runs that fail.
    static let largestCount = 1_000_000_000
    /// The latest time, a year.
    static let largestSeconds = 365 * 86_400

    package let entries: [Entry]

    package init(_ entries: [Entry]) {
        self.entries = entries
    }

    /// Reads a script for the devices of this server.
    ///
    /// Throws `invalid_value` with place `--chaos` for text that is no script and for devices that are not among `devices`.
    package init(_ text: String, devices: [DeviceID]) throws(ApusError) {
        guard !text.utf8.allSatisfy({ $0 == UInt8(ascii: " ") }) else { throw Self.problem("it is empty") }
        var entries: [Entry] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            entries.append(try Self.entry(part.drop { $0 == " " }.trimmingTrailingSpaces(), devices))
        }
        self.entries = entries
    }

    private static func entry(_ text: Substring, _ devices: [DeviceID]) throws(ApusError) -> Entry {
        guard let at = text.lastIndex(of: "@"), let colon = text[..<at].lastIndex(of: ":") else {
            throw problem("\(quoted(text)) is not DEVICE:FAULT@WHEN or DEVICE:FAULT@WHENxN")
        }
        let (name, faultName) = (text[..<colon], text[text.index(after: colon)..<at])
        let served = devices.map(\.description).joined(separator: ", ")
        guard let device = DeviceID(name) else {
            throw problem("\(quoted(text)) names the device \(quoted(name)), which is not KIND:NUMBER; this server has \(served)")
        }
        guard devices.contains(device) else {
            throw problem("\(quoted(text)) names the device \(device), which is not there; this server has \(served)")
        }
        guard let fault = StepFault(rawValue: String(faultName)) else {
            let known = StepFault.allCases.map(\.rawValue).joined(separator: ", ")
            throw problem("\(quoted(text)) asks for \(quoted(faultName)); there are \(known)")
        }
        let (when, count) = try split(text[text.index(after: at)...], in: text)
        return Entry(device, fault, try moment(when, in: text), count: count)
    }

    /// Separates `x3` from the moment before it.
    private static func split(_ text: Substring, in entry: Substring) throws(ApusError) -> (Substring, Int) {
        guard let cross = text.firstIndex(of: "x") else { return (text, 1) }
        let digits = text[text.index(after: cross)...]
        guard let count = number(digits), (1...largestCount).contains(count) else {
            throw problem("\(quoted(entry)) is to happen \(quoted(digits)) times, it must be a whole number from 1 to \(largestCount)")
        }
        return (text[..<cross], count)
    }

    private static func moment(_ text: Substring, in entry: Substring) throws(ApusError) -> Moment {
        if let run = number(text), (1...largestCount).contains(run) { return .run(run) }
        for (unit, nanoseconds) in [("ms", 1_000_000), ("s", 1_000_000_000)] where text.hasSuffix(unit) {
            guard let value = number(text.dropLast(unit.count)), value <= largestSeconds * 1_000_000_000 / nanoseconds else { break }
            return .time(value * nanoseconds)
        }
        throw problem(
            "\(quoted(entry)) is to happen at \(quoted(text)), it must be the number of a run, from 1, or a time such as 5s or 500ms")
    }

    /// Digits only: no sign, no fraction, no exponent.
    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
    }

    private static func quoted(_ text: Substring) -> String { "\"\(text)\"" }

    private static func problem(_ message: String) -> ApusError {
        ApusError(
            .invalidValue, "the chaos script is wrong: \(message)", place: "--chaos",
            advice: "Write it like cuda:0:oom@100x3,cpu:1:crash@5s")
    }
}

extension Substring {
    fileprivate func trimmingTrailingSpaces() -> Substring {
        guard let last = lastIndex(where: { $0 != " " }) else { return self[startIndex..<startIndex] }
        return self[...last]
    }
}
