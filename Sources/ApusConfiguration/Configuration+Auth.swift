extension Configuration {
    /// Who is let in.
    package struct Auth: Sendable, Equatable {
        package struct Key: Sendable, Equatable {
            package enum Scope: String, Sendable, CaseIterable {
                case infer, admin, metrics
            }

            package enum Priority: String, Sendable, CaseIterable {
                case high, medium, low
            }

            package var name: String
            /// Of the key, 64 hexadecimal digits in lower case.
            package var sha256: String
            /// Never empty.
            package var scopes: Set<Scope> = [.infer]
            package var requestsPerMinute: Int?
            package var tokensPerMinute: Int?
            /// Estimated work of this key that may wait at once.
            package var maxQueueSeconds: Double?
            /// The highest class it may ask for.
            package var priority = Priority.high

            package init(name: String, sha256: String) {
                self.name = name
                self.sha256 = sha256
            }
        }

        /// Empty when no key is wanted. Those of ``keysFile`` come last.
        package var keys: [Key] = []
        package var keysFile: String?

        package init() {}
    }
}
