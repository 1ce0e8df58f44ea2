package import ApusErrors

extension JSONValue {
    /// Parses a whole document.
    ///
    /// - Parameters:
    ///   - bytes: UTF-8 without a byte order mark.
    ///   - limits: what is refused for its size.
    /// - Throws: `.invalidJSON` with the place "line L, column C", both from 1, the column counted in Unicode scalars.
    package init(parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits = .default) throws(ApusError) {
        var parser = JSONParser(bytes, limits: limits)
        do throws(JSONFailure) {
            self = try parser.parseDocument()
        } catch {
            throw ApusError(
                .invalidJSON, error.reason.message(limits), place: Self.place(of: error.offset, in: bytes))
        }
    }

    /// Parses a whole document held in an array. See ``init(parsing:limits:)-(UnsafeRawBufferPointer,_)``.
    package init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(ApusError) {
        // `withUnsafeBytes` does not carry a typed error, a `Result` does.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(ApusError) in try JSONValue(parsing: buffer, limits: limits) }
        }
        self = try result.get()
    }

    private static func place(of offset: Int, in bytes: UnsafeRawBufferPointer) -> String {
        var line = 1
        var column = 1
        for byte in bytes.prefix(offset) {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return "line \(line), column \(column)"
    }
}
