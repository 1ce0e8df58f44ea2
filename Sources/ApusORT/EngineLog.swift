import COnnxRuntime
import Logging

/// Hands the engine's own log lines, and what there is to say about how it is used, to swift-log.
package enum EngineLog {
    static let errorSeverity: Int32 = 3

    private static let logger = Logger(label: "apus.engine")

    static let write: OrtLoggingFunction = { _, severity, _, _, location, message in
        let level: Logger.Level =
            switch severity {
            case 0: .trace
            case 1: .debug
            case 2: .warning
            case 3: .error
            default: .critical
            }
        logger.log(level: level, "\(String(cString: message))", metadata: ["location": "\(String(cString: location))"])
    }

    /// Something that was asked for and is not done, or not as asked.
    package static func warning(_ message: String) {
        logger.warning("\(message)")
    }

    package static func notice(_ message: String) {
        logger.notice("\(message)")
    }
}
