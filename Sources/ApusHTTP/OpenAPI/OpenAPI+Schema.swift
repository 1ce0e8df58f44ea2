import ApusJSON

extension OpenAPI {
    /// A JSON Schema, draft 2020-12.
    struct Schema: Sendable {
        let json: JSONValue

        /// - Parameter keywords: those with a value.
        private init(_ keywords: [(String, JSONValue?)]) {
            json = .object(keywords.compactMap { name, value in value.map { (name, $0) } })
        }

        private init(json: JSONValue) {
            self.json = json
        }

        /// Whatever JSON can spell, with a word on it.
        static func remark(_ about: String) -> Schema { Schema([described(about)]) }

        /// An object of whatever members.
        static func members(_ about: String) -> Schema { Schema([("type", "object"), ("description", .string(about))]) }

        /// - Parameter length: in characters.
        static func string(_ about: String? = nil, length: ClosedRange<Int>? = nil, pattern: String? = nil) -> Schema {
            Schema([
                ("type", "string"), ("minLength", length.map { .integer(Int64($0.lowerBound)) }),
                ("maxLength", length.map { .integer(Int64($0.upperBound)) }), ("pattern", pattern.map { .string($0) }), described(about),
            ])
        }

        static func choice(_ values: [String], _ about: String? = nil, initial: String? = nil) -> Schema {
            Schema([("type", "string"), ("enum", .strings(values)), ("default", initial.map { .string($0) }), described(about)])
        }

        /// The one string that it can be.
        static func fixed(_ value: String) -> Schema { Schema([("type", "string"), ("const", .string(value))]) }

        static func integer(_ about: String? = nil, from least: Int? = nil, to most: Int? = nil, initial: Int? = nil) -> Schema {
            Schema([
                ("type", "integer"), ("minimum", least.map { .integer(Int64($0)) }), ("maximum", most.map { .integer(Int64($0)) }),
                ("default", initial.map { .integer(Int64($0)) }), described(about),
            ])
        }

        static func number(_ about: String? = nil, from least: Double? = nil, to most: Double? = nil) -> Schema {
            Schema([
                ("type", "number"), ("minimum", least.map { .number($0) }), ("maximum", most.map { .number($0) }), described(about),
            ])
        }

        static func flag(_ about: String? = nil, initial: Bool? = nil) -> Schema {
            Schema([("type", "boolean"), ("default", initial.map { .bool($0) }), described(about)])
        }

        static func list(of element: Schema, _ about: String? = nil, from least: Int? = nil, to most: Int? = nil) -> Schema {
            Schema([
                ("type", "array"), ("items", element.json), ("minItems", least.map { .integer(Int64($0)) }),
                ("maxItems", most.map { .integer(Int64($0)) }), described(about),
            ])
        }

        /// An object that may have other members, too.
        /// - Parameters:
        ///   - required: nil for all of `properties`.
        ///   - most: members that it may have.
        static func object(_ properties: KeyValuePairs<String, Schema>, required: [String]? = nil, _ about: String? = nil) -> Schema {
            Schema([
                ("type", "object"), ("properties", .object(properties.map { ($0.key, $0.value.json) })),
                ("required", .strings(required ?? properties.map(\.key))), described(about),
            ])
        }

        /// One of several, told apart by whatever does it.
        static func any(of choices: [Schema], _ about: String? = nil) -> Schema {
            Schema([("anyOf", .array(choices.map(\.json))), described(about)])
        }

        /// Another schema and more than it says.
        static func both(_ schema: Schema, _ more: Schema) -> Schema { Schema([("allOf", .array([schema.json, more.json]))]) }

        static func named(_ name: Name) -> Schema { Schema(json: .reference("schemas", name.rawValue)) }

        private static let null = Schema([("type", "null")])

        var orNull: Schema { .any(of: [self, Self.null]) }

        private static func described(_ about: String?) -> (String, JSONValue?) { ("description", about.map { .string($0) }) }
    }
}
