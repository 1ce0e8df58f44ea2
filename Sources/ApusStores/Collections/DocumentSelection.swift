/// Which documents are meant.
package enum DocumentSelection: Sendable {
    /// Ids that there are not are passed over; one that comes twice counts once.
    case ids([String])
    case filter(MetadataFilter)
}
