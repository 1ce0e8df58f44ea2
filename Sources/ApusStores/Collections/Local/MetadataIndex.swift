import ApusJSON
import Foundation
import GRDB

/// The table of every value in every document's metadata, by path and value.
///
/// A filter reads the entries of the values that it names, in the order of a B-tree, so that one that few documents pass costs as much as
/// there are such documents.
enum MetadataIndex {
    /// How an entry's value is to be understood. Members of an array are entries of their own under the array's path.
    enum Kind: Int64 {
        case null = 0
        case bool = 1
        case number = 2
        case string = 3
        case array = 4
        case object = 5

        static let member: Int64 = 8
    }

    struct Term {
        let path: [UInt8]
        let kind: Int64
        let value: DatabaseValue
    }

    /// The entries of a document. Names with a full stop in them, which no filter can name, have none.
    static func terms(of metadata: Metadata) -> [Term] {
        var terms: [Term] = []
        collect(metadata.object, [], into: &terms)
        return terms
    }

    static func key(_ scalar: MetadataScalar) -> (kind: Kind, value: DatabaseValue) {
        switch scalar {
        case .null: (.null, 0.databaseValue)
        case .bool(let flag): (.bool, (flag ? 1 : 0).databaseValue)
        case .integer(let number): (.number, number.databaseValue)
        case .number(let number): (.number, number.databaseValue)
        case .string(let text): (.string, Data(text.utf8).databaseValue)
        }
    }

    private static func collect(_ object: JSONObject, _ prefix: [UInt8], into terms: inout [Term]) {
        for (name, value) in object.entries where !name.utf8.contains(UInt8(ascii: ".")) {
            let path = prefix + Array(name.utf8)
            switch value {
            case .object(let inner):
                terms.append(Term(path: path, kind: Kind.object.rawValue, value: 0.databaseValue))
                collect(inner, path + [UInt8(ascii: ".")], into: &terms)
            case .array(let elements):
                terms.append(Term(path: path, kind: Kind.array.rawValue, value: 0.databaseValue))
                for element in elements {
                    guard let scalar = MetadataScalar(element) else { continue }
                    let (kind, value) = key(scalar)
                    terms.append(Term(path: path, kind: kind.rawValue + Kind.member, value: value))
                }
            case .null, .bool, .integer, .number, .string:
                guard let scalar = MetadataScalar(value) else { continue }
                let (kind, value) = key(scalar)
                terms.append(Term(path: path, kind: kind.rawValue, value: value))
            }
        }
    }
}
