import ApusErrors
import ApusExecution
import ApusService

/// How an error code reads in HTTP. The one place where codes become statuses.
struct StatusTable {
    struct Row {
        let status: Int
        /// Whether the error's place is a request field, told as `param`.
        let namesParam: Bool

        init(_ status: Int, namesParam: Bool = false) {
            self.status = status
            self.namesParam = namesParam
        }
    }

    private static let rows: [ApusError.Code: Row] = [
        .invalidJSON: Row(400),
        .invalidValue: Row(400, namesParam: true),
        .emptyInput: Row(400, namesParam: true),
        .stringTooLong: Row(400, namesParam: true),
        .arrayTooLong: Row(400, namesParam: true),
        .invalidToken: Row(400, namesParam: true),
        .contextLengthExceeded: Row(400, namesParam: true),
        .unsupportedTask: Row(400, namesParam: true),
        .unsupportedPlan: Row(400),
        .invalidFilter: Row(400, namesParam: true),
        .invalidRequest: Row(400),
        .invalidAPIKey: Row(401),
        .insufficientScope: Row(403),
        .modelNotFound: Row(404, namesParam: true),
        .unknownDevice: Row(404),
        .collectionNotFound: Row(404, namesParam: true),
        .documentNotFound: Row(404, namesParam: true),
        .notFound: Row(404),
        .methodNotAllowed: Row(405),
        .requestTimeout: Row(408),
        .deviceGone: Row(409),
        .collectionExists: Row(409, namesParam: true),
        .documentExists: Row(409, namesParam: true),
        .modelMismatch: Row(409, namesParam: true),
        .bodyTooLarge: Row(413),
        .targetTooLong: Row(414),
        .unsupportedMediaType: Row(415),
        .rateLimitExceeded: Row(429),
        .headerTooLarge: Row(431),
        .cancelled: Row(499),
        .requestQuarantined: Row(500),
        .engineFailure: Row(500),
        .modelLoading: Row(503, namesParam: true),
        .modelUnloaded: Row(503, namesParam: true),
        .modelFailed: Row(503, namesParam: true),
        .overloaded: Row(503),
        .shuttingDown: Row(503),
        .noDevice: Row(503),
        .storeUnavailable: Row(503),
        .storeCorrupt: Row(503),
        ApusError.Code(rawValue: "insufficient_memory"): Row(503),
        .outOfMemory: Row(503),
        .deviceUnavailable: Row(503),
        .workerKilled: Row(503),
        .workerCrashed: Row(503),
        .deviceHung: Row(503),
        .deviceLost: Row(503),
        .devicePoisoned: Row(503),
        .deadlineExceeded: Row(504),
    ]

    /// A code that is in no row is a failure of the server's own: 500.
    static func row(for code: ApusError.Code) -> Row {
        rows[code] ?? Row(500)
    }
}
