/// What the repair of a collection found and did.
package struct RepairReport: Sendable {
    /// A document that could not be kept.
    package struct Loss: Sendable, Hashable {
        package enum Cause: String, Sendable {
            /// Its vector is not what was written.
            case vector
            /// Its id, text or metadata are not.
            case document
        }

        /// nil where it cannot be read.
        package var id: String?
        /// In the order of writing.
        package var number: Int64
        package var cause: Cause
        /// Whether it had a text that reads as it was written, of which a model could make a vector again.
        package var hasText: Bool
    }

    /// Documents that read as they were written.
    package var kept = 0
    /// The ids of documents whose vectors were made again of their texts.
    package var embedded: [String] = []
    package var lost: [Loss] = []
    /// Where the files lie as they were found; nil where nothing was damaged and nothing was changed.
    package var damagedFiles: String?

    package init() {}
}
