import ApusConfiguration
import ApusErrors
import ApusService

extension AccessControl {
    /// Who is let in as the configuration says; anyone when it names no key.
    init(_ auth: Configuration.Auth) throws(ApusError) {
        guard !auth.keys.isEmpty else {
            self = .open
            return
        }
        var keys: [AccessKey] = []
        for key in auth.keys {
            let scopes = key.scopes.map { scope -> AccessKey.Scope in
                switch scope {
                case .infer: .infer
                case .admin: .admin
                case .metrics: .metrics
                }
            }
            let highest: EmbeddingOptions.Priority =
                switch key.priority {
                case .high: .high
                case .medium: .medium
                case .low: .low
                }
            keys.append(
                try AccessKey(
                    name: key.name, sha256: key.sha256, scopes: Set(scopes),
                    limits: AccessKey.Limits(
                        requestsPerMinute: key.requestsPerMinute, tokensPerMinute: key.tokensPerMinute, queueSeconds: key.maxQueueSeconds),
                    highestPriority: highest))
        }
        try self.init(keys: keys)
    }
}
