/// Which documents a search, a listing or a deletion means, by their metadata. Made from JSON by ``init(parsing:)`` and ``init(_:)``.
///
/// A field that a document lacks equals nothing: of the conditions on it only ``Comparison/notEqual(_:)``, ``Comparison/noneOf(_:)`` and
/// `exists(false)` hold.
package indirect enum MetadataFilter: Sendable {
    /// All of them hold; true when there are none.
    case and([MetadataFilter])
    /// At least one of them holds.
    case or([MetadataFilter])
    case not(MetadataFilter)
    case field(MetadataPath, Comparison)

    /// What is asked of the value of a field.
    package enum Comparison: Sendable {
        case equal(MetadataScalar)
        case notEqual(MetadataScalar)
        /// A number beside a number, or a string beside a string.
        case greater(MetadataScalar)
        case greaterOrEqual(MetadataScalar)
        case less(MetadataScalar)
        case lessOrEqual(MetadataScalar)
        case anyOf([MetadataScalar])
        case noneOf([MetadataScalar])
        /// Whether there is a value, null included.
        case exists(Bool)
        /// The value is an array that has this member.
        case contains(MetadataScalar)
    }
}
