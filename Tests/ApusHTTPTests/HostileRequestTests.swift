import Testing

/// One row of the catalogue of hostile requests: what is sent, what must come back, and whether the connection lives on.
struct HostileRow: Sendable, CustomTestStringConvertible {
    let name: String
    let request: [UInt8]
    let status: Int
    let code: String
    let param: String?
    let closes: Bool

    /// A request for vectors whose body is wrong; the connection lives on.
    static func body(_ name: String, _ body: String, _ code: String, param: String? = nil, status: Int = 400) -> HostileRow {
        HostileRow(name: name, request: Wire.embed(body), status: status, code: code, param: param, closes: false)
    }

    static func bytes(_ name: String, _ body: [UInt8], _ code: String) -> HostileRow {
        HostileRow(name: name, request: Wire.embed(body), status: 400, code: code, param: nil, closes: false)
    }

    /// A request that is wrong as a whole.
    static func wire(_ name: String, _ request: [UInt8], _ status: Int, _ code: String, param: String? = nil, closes: Bool) -> HostileRow {
        HostileRow(name: name, request: request, status: status, code: code, param: param, closes: closes)
    }

    var testDescription: String { name }
}

extension HTTPTests {
    @Suite("Hostile requests")
    struct HostileRequestTests {
        static func input(_ value: String) -> String { #"{"model":"m","input":\#(value)}"# }
        static func field(_ field: String) -> String { #"{"model":"m","input":"x",\#(field)}"# }
        static func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }

        static let bodies: [HostileRow] = [
            .body("1: malformed JSON", #"{"model":}"#, "invalid_json"),
            .body("1: truncated JSON", #"{"model":"m","input":"x"#, "invalid_json"),
            .body("2: an empty body", "", "invalid_json"),
            .body("2: a blank body", " \r\n\t", "invalid_json"),
            .body("3: bytes after the end", input(#""x""#) + "x", "invalid_json"),
            .body("3: a second document", input(#""x""#) + "{}", "invalid_json"),
            .body("4: a trailing comma in an object", #"{"model":"m","input":"x",}"#, "invalid_json"),
            .body("4: a trailing comma in an array", input(#"["x",]"#), "invalid_json"),
            .body("5: a key twice", #"{"model":"m","input":"x","model":"m"}"#, "invalid_json"),
            .bytes("6: a byte order mark", [0xEF, 0xBB, 0xBF] + Array(input(#""x""#).utf8), "invalid_json"),
            .bytes("6: UTF-16", Array(input(#""x""#).utf8).flatMap { [$0, 0] }, "invalid_json"),
            .body("7: NaN", field(#""dimensions":NaN"#), "invalid_json"),
            .body("7: Infinity", field(#""dimensions":Infinity"#), "invalid_json"),
            .body("7: 1e999", field(#""dimensions":1e999"#), "invalid_json"),
            .body("8: 2^63 for a whole number", field(#""dimensions":9223372036854775808"#), "invalid_value", param: "dimensions"),
            .body("8: 1.5 for a whole number", field(#""dimensions":1.5"#), "invalid_value", param: "dimensions"),
            .body("9: a model that is a number", #"{"model":1,"input":"x"}"#, "invalid_value", param: "model"),
            .body("9: a model that is null", #"{"model":null,"input":"x"}"#, "invalid_value", param: "model"),
            .body("9: no model", #"{"input":"x"}"#, "invalid_value", param: "model"),
            .body("9: no input", #"{"model":"m"}"#, "invalid_value", param: "input"),
            .body("9: an input that is null", input("null"), "invalid_value", param: "input"),
            .body("9: an input that is true", input("true"), "invalid_value", param: "input"),
            .body("9: an input that is an object", input("{}"), "invalid_value", param: "input"),
            .body("9: a null among texts", input(#"["x",null]"#), "invalid_value", param: "input"),
            .body("9: texts and tokens mixed", input(#"["x",1]"#), "invalid_value", param: "input"),
            .body("9: tokens and texts mixed", input(#"[1,"x"]"#), "invalid_value", param: "input"),
            .body("9: a text among token lists", input(#"[[1],"x"]"#), "invalid_value", param: "input"),
            .body("9: a fraction for a token", input("[1,1.5]"), "invalid_value", param: "input"),
            .body("9: tokens nested too deep", input("[[[1]]]"), "invalid_value", param: "input"),
            .body("9: truncate that is a word", field(#""truncate":"yes""#), "invalid_value", param: "truncate"),
            .body("9: provenance that is a number", field(#""provenance":1"#), "invalid_value", param: "provenance"),
            .body("9: a user that is null", field(#""user":null"#), "invalid_value", param: "user"),
            .body("9: dimensions that are a word", field(#""dimensions":"4""#), "invalid_value", param: "dimensions"),
            .body("11: nesting of 127 inside the object and its list", input(nested(128)), "invalid_json"),
            .body("11: nesting of 100,000", nested(100_000), "invalid_json"),
            .bytes("12: bytes that are not UTF-8", Array(#"{"model":"m","input":""#.utf8) + [0xFF, 0xFE] + Array(#""}"#.utf8), "invalid_json"),
            .bytes("12: an overlong slash", Array(#"{"model":"m","input":""#.utf8) + [0xC0, 0xAF] + Array(#""}"#.utf8), "invalid_json"),
            .body("13: half a surrogate pair", input(#""\ud800""#), "invalid_json"),
            .body("15: an array at the top", "[]", "invalid_value"),
            .body("15: null at the top", "null", "invalid_value"),
            .body("16: a text of 1 MiB and a byte", input("\"" + String(repeating: "x", count: (1 << 20) + 1) + "\""), "string_above_max_length", param: "input"),
            .body("16: a text of 10 MB", input("\"" + String(repeating: "x", count: 10_000_000) + "\""), "string_above_max_length", param: "input"),
            .body("17: 2,049 texts", input("[" + Array(repeating: #""x""#, count: 2049).joined(separator: ",") + "]"), "array_above_max_length", param: "input"),
            .body("17: 100,000 texts", input("[" + Array(repeating: #""x""#, count: 100_000).joined(separator: ",") + "]"), "array_above_max_length", param: "input"),
            .body("17: 2,049 token lists", input("[" + Array(repeating: "[1]", count: 2049).joined(separator: ",") + "]"), "array_above_max_length", param: "input"),
            .body("19: an empty text", input(#""""#), "empty_input", param: "input"),
            .body("19: an empty list", input("[]"), "empty_input", param: "input"),
            .body("19: an empty text among others", input(#"["x",""]"#), "empty_input", param: "input"),
            .body("19: an empty token list", input("[[1],[]]"), "empty_input", param: "input"),
            .body("20: a negative token", input("[1,-1]"), "invalid_token", param: "input"),
            .body("20: a token beyond the vocabulary", input("[[99],[100]]"), "invalid_token", param: "input"),
            .body("20: a token beyond 32 bits", input("[4294967297]"), "invalid_token", param: "input"),
            .body("20: a token beyond 64 bits", input("[1e300]"), "invalid_token", param: "input"),
            .body("21: too many tokens and no truncation", #"{"model":"m","truncate":false,"input":"\#(String(repeating: "w ", count: 15))"}"#, "context_length_exceeded", param: "input"),
            .body("28: no dimensions at all", field(#""dimensions":0"#), "invalid_value", param: "dimensions"),
            .body("28: negative dimensions", field(#""dimensions":-1"#), "invalid_value", param: "dimensions"),
            .body("28: more dimensions than the model has", field(#""dimensions":9"#), "invalid_value", param: "dimensions"),
            .body("29: an encoding nobody knows", field(#""encoding_format":"hex""#), "invalid_value", param: "encoding_format"),
            .body("31: an unknown model", #"{"model":"x","input":"x"}"#, "model_not_found", param: "model", status: 404),
            .body("32: a model name that climbs", #"{"model":"../../etc/passwd","input":"x"}"#, "model_not_found", param: "model", status: 404),
            .body("32: a model name with NUL", #"{"model":"m\u0000","input":"x"}"#, "model_not_found", param: "model", status: 404),
            .body("32: a model name of 64 KB", #"{"model":"\#(String(repeating: "m", count: 65_536))","input":"x"}"#, "model_not_found", param: "model", status: 404),
            .body("33: a model that is loading", #"{"model":"slow-to-load","input":"x"}"#, "model_loading", param: "model", status: 503),
            .body("33: a model that could not be loaded", #"{"model":"broken","input":"x"}"#, "model_failed", param: "model", status: 503),
            .body("34: a model for another task", #"{"model":"reranker","input":"x"}"#, "unsupported_task", param: "model"),
        ]

        static let timeouts: [HostileRow] = ["", "x", "-1", "1.5", "2147483649", "9223372036854775808", "+1", "1 2"].map { value in
            .wire(
                "71: a timeout of '\(value)'", Wire.embed(input(#""x""#), headers: ["x-apus-timeout-ms: \(value)"]), 400, "invalid_value",
                param: "x-apus-timeout-ms", closes: false
            )
        }

        static let good = Array(input(#""x""#).utf8)

        static let wires: [HostileRow] = [
            .wire("18: a body announced at 300 MB", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 300000000", "Content-Type: application/json"]), 413, "body_too_large", closes: true),
            .wire("18: a length of more digits than a number holds", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 99999999999999999999"]), 400, "invalid_request", closes: true),
            .wire("52: a negative length", Wire.post(good, headers: []).replacing("Content-Length: ", with: "Content-Length: -"), 400, "invalid_request", closes: true),
            .wire("52: a length that is a word", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: ten"]), 400, "invalid_request", closes: true),
            .wire("52: two lengths", Wire.embed(good, headers: ["Content-Length: 3"]), 400, "invalid_request", closes: true),
            .wire("52: the same length twice", Wire.embed(good, headers: ["Content-Length: \(good.count)"]), 400, "invalid_request", closes: true),
            .wire("53: length and chunks", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 5", "Transfer-Encoding: chunked"]) + Array("0\r\n\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("53: a coding other than chunked", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Transfer-Encoding: gzip, chunked"]) + Array("0\r\n\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("54: a chunk size that overflows", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Transfer-Encoding: chunked"]) + Array("FFFFFFFFFFFFFFFFFF\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("54: a chunk size that is no number", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Transfer-Encoding: chunked"]) + Array("xyz\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("54: a negative chunk size", Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Transfer-Encoding: chunked"]) + Array("-5\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("55: a gzip body", Wire.embed([0x1F, 0x8B, 8, 0], headers: ["Content-Encoding: gzip"]), 415, "unsupported_media_type", closes: false),
            .wire("56: a header block of 100 KB", Wire.get("/health/live", headers: (0..<100).map { "h\($0): " + String(repeating: "x", count: 1000) }), 431, "header_too_large", closes: true),
            .wire("56: one header of 90 KB", Wire.get("/health/live", headers: ["h: " + String(repeating: "x", count: 90_000)]), 431, "header_too_large", closes: true),
            .wire("56: 300 fields", Wire.get("/health/live", headers: (0..<300).map { "h\($0): x" }), 431, "header_too_large", closes: true),
            .wire("57: a target of 17 KB", Wire.get("/" + String(repeating: "x", count: 17 << 10)), 414, "target_too_long", closes: true),
            .wire("57: a target of 200 KB", Wire.get("/" + String(repeating: "x", count: 200 << 10)), 414, "target_too_long", closes: true),
            .wire("57: a bad percent sign", Wire.get("/v1/models/%zz"), 400, "invalid_request", closes: false),
            .wire("57: half a percent escape", Wire.get("/v1/models/%4"), 400, "invalid_request", closes: false),
            .wire("57: an encoded NUL", Wire.get("/v1/models/m%00"), 400, "invalid_request", closes: false),
            .wire("57: escapes that are not UTF-8", Wire.get("/v1/models/%ff%fe"), 400, "invalid_request", closes: false),
            .wire("58: an unknown path", Wire.get("/v1/nothing"), 404, "not_found", closes: false),
            .wire("58: a wrong method", Wire.get("/v1/embeddings"), 405, "method_not_allowed", closes: false),
            .wire("58: a method nobody knows", Wire.request("BREW /v1/embeddings HTTP/1.1"), 400, "invalid_request", closes: true),
            .wire("59: a wrong content type", Wire.post(good, headers: ["Content-Type: text/plain"]), 415, "unsupported_media_type", closes: false),
            .wire("59: a form", Wire.post(good, headers: ["Content-Type: application/x-www-form-urlencoded"]), 415, "unsupported_media_type", closes: false),
            .wire("59: no content type", Wire.post(good, headers: []), 415, "unsupported_media_type", closes: false),
            .wire("not HTTP at all", Array("hello\r\n\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("a TLS hello", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03], 400, "invalid_request", closes: true),
            .wire("an HTTP/2 preface", Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("no Host", Array("GET /health/live HTTP/1.1\r\n\r\n".utf8), 400, "invalid_request", closes: true),
            .wire("two Hosts", Wire.get("/health/live", headers: ["Host: other"]), 400, "invalid_request", closes: true),
            .wire("a priority nobody knows", Wire.embed(good, headers: ["x-apus-priority: urgent"]), 400, "invalid_value", param: "x-apus-priority", closes: false),
            .wire("a provenance header nobody knows", Wire.embed(good, headers: ["x-apus-provenance: yes"]), 400, "invalid_value", param: "x-apus-provenance", closes: false),
        ]

        @Test("Each row gets its one answer, and the next good request is served")
        func everyRow() async throws {
            try await TestServer.run { server in
                for row in Self.bodies + Self.timeouts + Self.wires {
                    try await Self.check(row, on: server)
                }
            }
        }

        private static func check(_ row: HostileRow, on server: TestServer) async throws {
            let connection = try await server.connect()
            try await connection.send(row.request)
            let response = try await connection.response()
            let error = try response.error
            #expect(response.status == row.status, "\(row.name)")
            #expect(error.code == row.code, "\(row.name): \(error.message)")
            #expect(error.param == row.param, "\(row.name): \(error.message)")
            #expect(error.type == (row.status < 500 ? "invalid_request_error" : "server_error"), "\(row.name)")
            #expect(response["content-type"] == "application/json", "\(row.name)")
            #expect(response["x-request-id"]?.isEmpty == false, "\(row.name)")
            #expect((response["connection"] == "close") == row.closes, "\(row.name)")
            #expect(error.message.utf8.count < 1000, "\(row.name)")
            #expect(!error.message.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }, "\(row.name)")
            if row.closes {
                connection.shutdownSending()
                #expect(try await connection.isClosed(), "\(row.name)")
                try await server.expectGoodAnswer()
            } else {
                try await server.expectGoodAnswer(on: connection)
            }
        }

        static let served: [(name: String, body: String)] = [
            ("8: 1.0 and 8e0 are whole numbers", field(#""dimensions":8e0"#)),
            ("10: unknown fields", field(#""stop":["a"],"n":-1,"temperature":-3,"chat_template":"{{","unknown":{"a":[null]}"#)),
            ("11: 128 levels in a field nobody reads", field(#""deep":\#(nested(127))"#)),
            ("14: NUL in a text", input(#""a\u0000b""#)),
            ("16: a text of exactly 1 MiB", input("\"" + String(repeating: "x", count: 1 << 20) + "\"")),
            ("17: exactly 2,048 texts", input("[" + Array(repeating: #""x""#, count: 2048).joined(separator: ",") + "]")),
            ("20: the highest token", input("[0,99]")),
            ("20: tokens spelled with a fraction of zero", input("[1.0,2e1]")),
            ("21: too many tokens, cut", input("\"" + String(repeating: "w ", count: 15) + "\"")),
            ("22: 300,000 combining marks", input("\"e" + String(repeating: "\u{301}", count: 300_000) + "\"")),
            ("the shortest deadline that can be kept", input(#""x""#)),
        ]

        @Test("What only looks hostile is served")
        func servedRows() async throws {
            try await TestServer.run { server in
                for row in Self.served {
                    let connection = try await server.connect()
                    try await connection.send(Wire.embed(row.body, headers: ["x-apus-timeout-ms: 2147483648", "x-apus-priority: low"]))
                    let response = try await connection.response()
                    #expect(response.status == 200, "\(row.name): \(response.text.prefix(300))")
                    try await server.expectGoodAnswer(on: connection)
                }
            }
        }

        @Test("A wrong method names the right ones, and a busy or loading server says when to come back")
        func helpfulHeaders() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/v1/embeddings"))
                #expect(try await connection.response()["allow"] == "POST")
                for path in ["/v1/models", "/v1/models/m", "/health/live", "/health/ready", "/metrics"] {
                    try await connection.send(Wire.request("DELETE \(path) HTTP/1.1"))
                    let response = try await connection.response()
                    #expect(response.status == 405, "\(path)")
                    #expect(response["allow"] == "GET, HEAD", "\(path)")
                }
                try await connection.send(Wire.embed(#"{"model":"slow-to-load","input":"x"}"#))
                #expect(try await connection.response()["retry-after"] == "7")
            }
        }

        @Test("Control characters of a model name are escaped in the message")
        func escapedName() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.embed(#"{"model":"a\r\nb\u001b[31m\u0085","input":"x"}"#))
                let error = try await connection.response().error
                #expect(error.message.contains(#"'a\u{d}\u{a}b\u{1b}[31m\u{85}'"#), "\(error.message)")
            }
        }
    }
}

extension [UInt8] {
    fileprivate func replacing(_ text: String, with other: String) -> [UInt8] {
        Array(String(decoding: self, as: UTF8.self).replacing(text, with: other).utf8)
    }
}
