extension ApusError.Code {
    // Requests. The spellings are those of the wire's error table.
    public static let invalidJSON = Self(rawValue: "invalid_json")
    public static let invalidValue = Self(rawValue: "invalid_value")
    public static let emptyInput = Self(rawValue: "empty_input")
    public static let stringTooLong = Self(rawValue: "string_above_max_length")
    public static let arrayTooLong = Self(rawValue: "array_above_max_length")
    public static let bodyTooLarge = Self(rawValue: "body_too_large")
    public static let invalidToken = Self(rawValue: "invalid_token")
    public static let contextLengthExceeded = Self(rawValue: "context_length_exceeded")
    public static let modelNotFound = Self(rawValue: "model_not_found")
    public static let unsupportedTask = Self(rawValue: "unsupported_task")
    public static let modelLoading = Self(rawValue: "model_loading")
    public static let modelUnloaded = Self(rawValue: "model_unloaded")
    public static let overloaded = Self(rawValue: "overloaded")
    public static let rateLimitExceeded = Self(rawValue: "rate_limit_exceeded")
    public static let deadlineExceeded = Self(rawValue: "deadline_exceeded")
    public static let cancelled = Self(rawValue: "cancelled")
    public static let requestQuarantined = Self(rawValue: "request_quarantined")
    public static let noDevice = Self(rawValue: "no_device")
    public static let unknownDevice = Self(rawValue: "unknown_device")
    public static let shuttingDown = Self(rawValue: "shutting_down")
    public static let notFound = Self(rawValue: "not_found")
    public static let invalidAPIKey = Self(rawValue: "invalid_api_key")
    public static let insufficientScope = Self(rawValue: "insufficient_scope")
    public static let methodNotAllowed = Self(rawValue: "method_not_allowed")
    public static let unsupportedMediaType = Self(rawValue: "unsupported_media_type")

    // Collections.
    public static let collectionExists = Self(rawValue: "collection_exists")
    public static let collectionNotFound = Self(rawValue: "collection_not_found")
    public static let documentExists = Self(rawValue: "document_exists")
    public static let documentNotFound = Self(rawValue: "document_not_found")
    public static let invalidFilter = Self(rawValue: "invalid_filter")
    /// Vectors of one model are asked of a collection of another's.
    public static let modelMismatch = Self(rawValue: "model_mismatch")
    /// What is stored cannot be reached or written now: no room, read-only, in use by another process, a server away.
    public static let storeUnavailable = Self(rawValue: "store_unavailable")
    /// What was stored does not read back as it was written.
    public static let storeCorrupt = Self(rawValue: "store_corrupt")

    // Files and models.
    public static let fileUnreadable = Self(rawValue: "file_unreadable")
    public static let fileUnwritable = Self(rawValue: "file_unwritable")
    public static let invalidCheckpoint = Self(rawValue: "invalid_checkpoint")
    public static let unsupportedModel = Self(rawValue: "unsupported_model")
    public static let invalidTokenizer = Self(rawValue: "invalid_tokenizer")
    public static let invalidConfiguration = Self(rawValue: "invalid_configuration")

    // Engine and devices.
    public static let engineMissing = Self(rawValue: "engine_missing")
    public static let engineIncompatible = Self(rawValue: "engine_incompatible")
    public static let engineFailure = Self(rawValue: "engine_failure")
    public static let outOfMemory = Self(rawValue: "out_of_memory")
    public static let unsupportedPrecision = Self(rawValue: "unsupported_precision")
    /// A model cannot be laid out as asked: sizes do not divide, or the parts do not make up the whole.
    public static let unsupportedPlan = Self(rawValue: "unsupported_plan")
    public static let wrongAnswer = Self(rawValue: "wrong_answer")
}
