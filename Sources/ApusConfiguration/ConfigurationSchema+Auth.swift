extension ConfigurationSchema {
    /// Who is let in.
    static let auth: [ConfigurationKey] = [
        .keys("auth.keys", does: "API keys by their SHA-256; with any, every route but `/health/live` wants one") { $0.auth.keys = $1 },
        .text("auth.keys_file", "APUS_KEYS_FILE", does: "A YAML or TOML file with more keys: a list `keys` of the same form") { $0.auth.keysFile = $1 },
    ]
}
