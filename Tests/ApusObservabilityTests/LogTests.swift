import ApusObservability
import Logging
import Synchronization
import Testing

@Suite("Log lines")
struct LogTests {
    /// Collects lines as text.
    private final class Sink: Sendable {
        let lines = Mutex<[String]>([])

        func logger(_ format: LineLogHandler.Format, level: Logger.Level = .info) -> Logger {
            Logger(label: "apus.test") { label in
                LineLogHandler(
                    label: label, level: level, format: format, clock: { LogTime(milliseconds: 1_769_860_800_123) },
                    sink: { bytes in self.lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } }
                )
            }
        }

        var all: [String] { lines.withLock { $0 } }
    }

    private struct Broken: Error, CustomStringConvertible {
        let description = "it broke"
    }

    @Test("A line for people holds time, level, label, message, error and sorted metadata")
    func text() {
        let sink = Sink()
        var logger = sink.logger(.text)
        logger[metadataKey: "b"] = "2"
        logger.warning("slow", error: Broken(), metadata: ["a": "1"])
        logger.debug("not at this level")
        #expect(sink.all == ["2026-01-31T12:00:00.123Z WARNING  apus.test: slow (it broke) a=1 b=2\n"])
    }

    @Test("Nothing a client sends can begin a line, move the cursor or reorder text")
    func escapes() {
        let sink = Sink()
        sink.logger(.text).info("a\r\nb\t\u{1B}[2J\u{85}\u{2028}\u{202E}é", metadata: ["k\n": "v\nw"])
        #expect(
            sink.all == [
                #"2026-01-31T12:00:00.123Z INFO     apus.test: a\r\nb\t\u{1b}[2J\u{85}\u{2028}\u{202e}é k\n=v\nw"# + "\n"
            ]
        )
    }

    @Test("A line for programs is one JSON object")
    func json() {
        let sink = Sink()
        sink.logger(.json).error("a\n\"b\"", metadata: ["time": "forged"])
        #expect(
            sink.all == [
                #"{"time":"2026-01-31T12:00:00.123Z","level":"error","label":"apus.test","message":"a\n\"b\"","metadata":{"time":"forged"}}"#
                    + "\n"
            ]
        )
    }

    @Test("Times are RFC 3339 in UTC", arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (-1, "1969-12-31T23:59:59.999Z"),
    ] as [(Int64, String)])
    func time(milliseconds: Int64, spelled: String) {
        #expect(LogTime(milliseconds: milliseconds).description == spelled)
    }
}
