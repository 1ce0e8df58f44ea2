/// The way to a value in metadata: `author.name` is the member `name` of the object under `author`.
///
/// Members whose names have a full stop in them cannot be reached.
package struct MetadataPath: Sendable, Hashable, CustomStringConvertible {
    /// At least one.
    package let names: [String]

    package init(_ text: String) {
        names = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    package var description: String { names.joined(separator: ".") }

    package static func == (left: MetadataPath, right: MetadataPath) -> Bool {
        left.names.elementsEqual(right.names) { $0.utf8.elementsEqual($1.utf8) }
    }

    package func hash(into hasher: inout Hasher) {
        for name in names { hasher.combine(Array(name.utf8)) }
    }
}
