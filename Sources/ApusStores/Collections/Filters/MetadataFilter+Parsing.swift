package import ApusErrors
package import ApusJSON

extension MetadataFilter {
    /// Bytes of a filter as JSON.
    package static let maxBytes = 64 << 10
    /// Levels of `$and`, `$or` and `$not`, the outermost object included.
    package static let maxDepth = 16
    /// Comparisons of all fields together.
    package static let maxConditions = 256
    /// Values of `$in` or `$nin`.
    package static let maxListMembers = 1_000

    /// Reads a filter:
    ///
    /// - `{"year": 2020}`: equality with null, a boolean, a number or a string;
    /// - `{"year": {"$gt": 2019, "$lt": 2030}}`: `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte` with one value, `$in` and `$nin` with a list,
    ///   `$exists` with a boolean, `$contains` with a member of an array;
    /// - `{"$and": […]}`, `{"$or": […]}`, `{"$not": {…}}`.
    ///
    /// Several members of one object hold all at once; `{}` holds for every document. `author.name` reaches into objects.
    ///
    /// Throws `invalid_filter`; the place continues `place`: `filter.$and[1].year.$gt`.
    package init(parsing bytes: [UInt8], place: String = "filter") throws(ApusError) {
        try Self.checkSize(bytes.count, place)
        let value: JSONValue
        do throws(ApusError) {
            value = try JSONValue(parsing: bytes)
        } catch {
            throw ApusError(.invalidFilter, "the filter is not JSON: \(error.message)", place: error.place.map { "\(place), \($0)" } ?? place)
        }
        try self.init(checked: value, place)
    }

    /// Reads a filter that is a part of a larger document. Throws as ``init(parsing:place:)`` does.
    package init(_ value: JSONValue, place: String = "filter") throws(ApusError) {
        var writer = JSONWriter()
        writer.value(value)
        try Self.checkSize(writer.bytes.count, place)
        try self.init(checked: value, place)
    }

    private init(checked value: JSONValue, _ place: String) throws(ApusError) {
        var reader = FilterReader()
        self = try reader.filter(value, depth: 1, place)
    }

    private static func checkSize(_ bytes: Int, _ place: String) throws(ApusError) {
        guard bytes <= maxBytes else {
            throw ApusError(.invalidFilter, "the filter has \(bytes) bytes, \(maxBytes) are allowed", place: place)
        }
    }
}

/// Reads one filter and counts its conditions.
private struct FilterReader {
    private var conditions = 0

    init() {}

    mutating func filter(_ value: JSONValue, depth: Int, _ place: String) throws(ApusError) -> MetadataFilter {
        guard depth <= MetadataFilter.maxDepth else {
            throw ApusError(.invalidFilter, "filters are nested at most \(MetadataFilter.maxDepth) deep", place: place)
        }
        let object = try value.objectValue(at: place, code: .invalidFilter)
        var parts: [MetadataFilter] = []
        for (key, value) in object.entries {
            let place = "\(place).\(key)"
            switch key {
            case "$and": parts.append(.and(try filters(value, depth: depth, place)))
            case "$or": parts.append(.or(try filters(value, depth: depth, place)))
            case "$not": parts.append(.not(try filter(value, depth: depth + 1, place)))
            default:
                guard key.utf8.first != UInt8(ascii: "$") else {
                    throw ApusError(.invalidFilter, "there is no operator '\(key)' here; there are $and, $or and $not", place: place)
                }
                try parts += field(MetadataPath(key), value, place)
            }
        }
        return if parts.count == 1, let only = parts.first { only } else { .and(parts) }
    }

    private mutating func filters(_ value: JSONValue, depth: Int, _ place: String) throws(ApusError) -> [MetadataFilter] {
        let elements = try value.arrayValue(at: place, code: .invalidFilter)
        guard !elements.isEmpty else { throw ApusError(.invalidFilter, "at least one filter is wanted", place: place) }
        var filters: [MetadataFilter] = []
        for (index, element) in elements.enumerated() {
            filters.append(try filter(element, depth: depth + 1, "\(place)[\(index)]"))
        }
        return filters
    }

    private mutating func field(_ path: MetadataPath, _ value: JSONValue, _ place: String) throws(ApusError) -> [MetadataFilter] {
        guard case .object(let operators) = value else {
            return [.field(path, .equal(try counted(scalar(value, place), place)))]
        }
        guard operators.count > 0 else { throw ApusError(.invalidFilter, "at least one operator is wanted", place: place) }
        var parts: [MetadataFilter] = []
        for (name, value) in operators.entries {
            let place = "\(place).\(name)"
            parts.append(.field(path, try counted(comparison(name, value, place), place)))
        }
        return parts
    }

    private mutating func counted<Part>(_ part: Part, _ place: String) throws(ApusError) -> Part {
        conditions += 1
        guard conditions <= MetadataFilter.maxConditions else {
            throw ApusError(.invalidFilter, "a filter has at most \(MetadataFilter.maxConditions) conditions", place: place)
        }
        return part
    }

    private func comparison(_ name: String, _ value: JSONValue, _ place: String) throws(ApusError) -> MetadataFilter.Comparison {
        switch name {
        case "$eq": return .equal(try scalar(value, place))
        case "$ne": return .notEqual(try scalar(value, place))
        case "$gt": return .greater(try ordered(value, place))
        case "$gte": return .greaterOrEqual(try ordered(value, place))
        case "$lt": return .less(try ordered(value, place))
        case "$lte": return .lessOrEqual(try ordered(value, place))
        case "$in": return .anyOf(try scalars(value, place))
        case "$nin": return .noneOf(try scalars(value, place))
        case "$exists": return .exists(try value.boolValue(at: place, code: .invalidFilter))
        case "$contains": return .contains(try scalar(value, place))
        default:
            throw ApusError(
                .invalidFilter, "there is no operator '\(name)'", place: place,
                advice:
                    "There are $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists and $contains; author.name reaches the member name of author"
            )
        }
    }

    private func scalar(_ value: JSONValue, _ place: String) throws(ApusError) -> MetadataScalar {
        guard let scalar = MetadataScalar(value) else {
            throw ApusError(.invalidFilter, "null, a boolean, a number or a string is wanted, not \(value.kind)", place: place)
        }
        return scalar
    }

    private func ordered(_ value: JSONValue, _ place: String) throws(ApusError) -> MetadataScalar {
        switch value {
        case .integer, .number, .string: return try scalar(value, place)
        default: throw ApusError(.invalidFilter, "a number or a string is wanted, not \(value.kind)", place: place)
        }
    }

    private func scalars(_ value: JSONValue, _ place: String) throws(ApusError) -> [MetadataScalar] {
        let elements = try value.arrayValue(at: place, code: .invalidFilter)
        guard elements.count <= MetadataFilter.maxListMembers else {
            throw ApusError(
                .invalidFilter, "a list has at most \(MetadataFilter.maxListMembers) values, not \(elements.count)", place: place)
        }
        var scalars: [MetadataScalar] = []
        for (index, element) in elements.enumerated() { scalars.append(try scalar(element, "\(place)[\(index)]")) }
        return scalars
    }
}
