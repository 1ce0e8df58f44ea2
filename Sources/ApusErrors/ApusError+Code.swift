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
    public static let overloaded = Self(rawValue: "overloaded")
    public static let deadlineExceeded = Self(rawValue: "deadline_exceeded")
    public static let cancelled = Self(rawValue: "cancelled")
    public static let requestQuarantined = Self(rawValue: "request_quarantined")
    public static let noDevice = Self(rawValue: "no_device")
    public static let shuttingDown = Self(rawValue: "shutting_down")
    public static let notFound = Self(rawValue: "not_found")
    public static let methodNotAllowed = Self(rawValue: "method_not_allowed")
    public static let unsupportedMediaType = Self(rawValue: "unsupported_media_type")

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
    public static let wrongAnswer = Self(rawValue: "wrong_answer")
}
