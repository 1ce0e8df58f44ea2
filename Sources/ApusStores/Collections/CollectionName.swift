package import ApusErrors

/// The name of a collection: 1 to 64 of `A`-`Z`, `a`-`z`, `0`-`9`, `.`, `_` and `-`, not beginning with a full stop.
///
/// Nothing else is allowed, because a name is also a file name, and where names are ASCII equal strings have equal bytes.
package struct CollectionName: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let text: String

    package static let maxLength = 64

    /// Throws `invalid_value` at `place`.
    package init(_ text: String, place: String = "collection") throws(ApusError) {
        guard !text.utf8.isEmpty, text.utf8.count <= Self.maxLength, text.utf8.allSatisfy(Self.isAllowed), text.utf8.first != UInt8(ascii: ".")
        else {
            throw ApusError(
                .invalidValue, "a collection's name is 1 to \(Self.maxLength) of A-Z, a-z, 0-9, '.', '_' and '-', and does not begin with '.'",
                place: place)
        }
        self.text = text
    }

    package var description: String { text }

    package static func < (left: CollectionName, right: CollectionName) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
