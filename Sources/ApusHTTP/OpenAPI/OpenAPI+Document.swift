import ApusErrors
import ApusJSON
import ApusService
import NIOHTTP1

extension OpenAPI {
    /// The document of one server.
    struct Document {
        /// Inputs of one request.
        let maxInputs: Int
        let collections: CollectionLimits
        /// Whether clients need a key.
        let wantsKey: Bool

        /// As it is served.
        var bytes: [UInt8] {
            var writer = JSONWriter(capacity: 1 << 17)
            writer.value(json)
            return writer.bytes
        }

        private var json: JSONValue {
            [
                "openapi": "3.1.1",
                "info": [
                    "title": "Apus", "version": "1",
                    "description": "Embeddings, reranking, classification and search over documents. The number is that of the routes, /v1.",
                ],
                "servers": [["url": "/"]],
                "tags": .array(Operation.Tag.allCases.map { ["name": .string($0.rawValue), "description": .string($0.about)] }),
                "paths": .object(ServiceMetrics.Route.allCases.filter { !$0.methods.isEmpty }.map { ($0.rawValue, path($0)) }),
                "components": [
                    "schemas": .object(Name.allCases.map { ($0.rawValue, schema($0).json) }),
                    "headers": .object(ProvenanceHeader.allCases.map { ($0.rawValue, $0.json) } + [("retry-after", Self.retryAfter)]),
                    "securitySchemes": [
                        "key": ["type": "http", "scheme": "bearer", "description": "A key of auth.keys; each reaches the routes of its scopes."]
                    ],
                ],
            ]
        }

        private static var retryAfter: JSONValue {
            ["description": "Whole seconds after which to come back", "schema": Schema.integer(from: 1).json]
        }

        private func path(_ route: ServiceMetrics.Route) -> JSONValue {
            .object(
                route.methods.compactMap { method in
                    operation(route, method).map { (method.rawValue.lowercased(), json($0, route, method)) }
                })
        }

        private func json(_ operation: Operation, _ route: ServiceMetrics.Route, _ method: HTTPMethod) -> JSONValue {
            let scopes = route.scopes(method)
            var answers = operation.answers.map { (String($0.status), $0.json) }
            answers += Self.refusals(operation.errors + Self.anywhere + (scopes == nil ? [] : Self.atTheDoor))
            var members: [(String, JSONValue)] = [
                ("operationId", .string(operation.id)), ("tags", [.string(operation.tag.rawValue)]), ("summary", .string(operation.summary)),
                ("parameters", .array((operation.parameters + [.requestID]).map(\.json))), ("responses", .object(answers)),
                ("security", security(scopes)),
            ]
            if let scopes {
                let names = AccessKey.Scope.allCases.filter(scopes.contains).map(\.rawValue).joined(separator: " or ")
                members.append(("description", .string("Where keys are wanted: one of the scope \(names).")))
            }
            if let body = operation.body { members.append(("requestBody", body.json)) }
            return .object(members)
        }

        private func security(_ scopes: Set<AccessKey.Scope>?) -> JSONValue {
            guard scopes != nil else { return [] }
            return wantsKey ? [["key": []]] : [["key": []], .object([])]
        }

        /// What befalls a request whatever it asks.
        private static let anywhere: [ApusError.Code] = [
            .invalidRequest, .requestTimeout, .bodyTooLarge, .targetTooLong, .headerTooLarge, .internalError, .overloaded, .shuttingDown,
        ]

        private static let atTheDoor: [ApusError.Code] = [.invalidAPIKey, .insufficientScope]

        /// One answer for each status, with the codes that it may have.
        private static func refusals(_ codes: [ApusError.Code]) -> [(String, JSONValue)] {
            var byStatus: [Int: [String]] = [:]
            for code in codes where byStatus[StatusTable.row(for: code).status]?.contains(code.rawValue) != true {
                byStatus[StatusTable.row(for: code).status, default: []].append(code.rawValue)
            }
            return byStatus.sorted { $0.key < $1.key }.map { status, codes in
                let codes = codes.sorted()
                let code = Schema.object(["error": .object(["code": .choice(codes)])])
                var members: [(String, JSONValue)] = [
                    ("description", .string(codes.joined(separator: ", "))),
                    ("content", ["application/json": ["schema": Schema.both(.named(.error), code).json]]),
                ]
                if status == 429 || status == 503 { members.append(("headers", ["retry-after": .reference("headers", "retry-after")])) }
                return (String(status), .object(members))
            }
        }
    }
}

extension OpenAPI.Parameter {
    fileprivate static let requestID = OpenAPI.Parameter(
        name: "x-request-id", place: .header, about: "1 to 128 visible ASCII characters to know the request by; made when there is none",
        schema: .string())
}
