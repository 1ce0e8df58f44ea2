import COnnxRuntime
import Logging

/// Hands the engine's own log lines to swift-log.
enum EngineLog {
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
}
