import Foundation
import Logging

/// Keeps what is logged as a warning or worse.
final class Complaints: @unchecked Sendable {
    // `lines` is guarded by `lock`.
    private let lock = NSLock()
    private var lines: [String] = []

    var all: [String] { lock.withLock { lines } }

    var logger: Logger { Logger(label: "test") { _ in Handler(complaints: self) } }

    private struct Handler: LogHandler {
        let complaints: Complaints
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.warning

        init(complaints: Complaints) { self.complaints = complaints }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            complaints.lock.withLock { complaints.lines.append("\(event.message)") }
        }
    }
}
