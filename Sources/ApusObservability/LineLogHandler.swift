package import Logging

/// Writes log lines to a sink: one event, one line, for people or for programs.
///
/// Control characters in messages and metadata are escaped, so what a client sent can neither forge a line nor move a
/// terminal's cursor.
package struct LineLogHandler: LogHandler {
    package enum Format: String, Sendable, CaseIterable {
        /// `2026-01-31T12:00:00.000Z INFO  apus.http: message key=value`
        case text
        /// One JSON object a line.
        case json
    }

    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    package var logLevel: Logger.Level
    private let label: String
    private let format: Format
    private let clock: @Sendable () -> LogTime
    private let sink: @Sendable ([UInt8]) -> Void

    /// - Parameters:
    ///   - clock: the time of an event.
    ///   - sink: takes one whole line, line feed included, from any thread.
    package init(
        label: String,
        level: Logger.Level = .info,
        format: Format = .text,
        clock: @escaping @Sendable () -> LogTime = LogTime.now,
        sink: @escaping @Sendable ([UInt8]) -> Void = StandardError.write
    ) {
        self.label = label
        self.logLevel = level
        self.format = format
        self.clock = clock
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        var message = event.message.description
        if let error = event.error { message += " (\(error))" }
        let line = LogLine(time: clock(), level: event.level, label: label, message: message, metadata: all)
        switch format {
        case .text: sink(line.text)
        case .json: sink(line.json)
        }
    }
}
