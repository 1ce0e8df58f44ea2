extension JSONParser {
    /// Parses the number at `position`, which is a digit or a minus sign.
    mutating func parseNumber() throws(JSONFailure) -> JSONValue {
        let start = position
        let isNegative = bytes[position] == UInt8(ascii: "-")
        if isNegative { position += 1 }

        var significand: UInt64 = 0
        var isExact = true
        let integerStart = position
        scanDigits(&significand, &isExact)
        let integerDigits = position - integerStart
        guard integerDigits > 0, integerDigits == 1 || bytes[integerStart] != UInt8(ascii: "0") else {
            throw JSONFailure(reason: .invalidNumber, offset: start)
        }

        var fractionDigits = 0
        if position < end, bytes[position] == UInt8(ascii: ".") {
            position += 1
            let fractionStart = position
            scanDigits(&significand, &isExact)
            fractionDigits = position - fractionStart
            guard fractionDigits > 0 else { throw JSONFailure(reason: .invalidNumber, offset: start) }
        }

        var exponent = 0
        var hasExponent = false
        if position < end, bytes[position] | 0x20 == UInt8(ascii: "e") {
            hasExponent = true
            exponent = try parseExponent(start: start)
        }

        if fractionDigits == 0, !hasExponent, isExact {
            if isNegative, significand <= UInt64(Int64.max) + 1 {
                return .integer(Int64(truncatingIfNeeded: 0 &- significand))
            }
            if !isNegative, significand <= UInt64(Int64.max) {
                return .integer(Int64(significand))
            }
        }
        // Clinger's fast path: both operands are exact in a Double, so the one operation is rounded once.
        let power = exponent - fractionDigits
        if isExact, significand <= 1 << 53, abs(power) < Self.powersOfTen.count {
            let magnitude = Double(significand)
            let value = power < 0 ? magnitude / Self.powersOfTen[-power] : magnitude * Self.powersOfTen[power]
            return .number(isNegative ? -value : value)
        }
        let literal = String(decoding: bytes[start..<position], as: UTF8.self)
        guard let value = Double(literal) else { throw JSONFailure(reason: .invalidNumber, offset: start) }
        guard value.isFinite else { throw JSONFailure(reason: .numberOutOfRange, offset: start) }
        return .number(value)
    }

    /// Reads a run of digits into `significand`; clears `isExact` when it no longer fits.
    private mutating func scanDigits(_ significand: inout UInt64, _ isExact: inout Bool) {
        while position < end {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return }
            let (product, first) = significand.multipliedReportingOverflow(by: 10)
            let (sum, second) = product.addingReportingOverflow(UInt64(digit))
            if first || second { isExact = false } else { significand = sum }
            position += 1
        }
    }

    /// Reads the exponent whose `e` is at `position`; magnitudes beyond a million stay there, far outside any Double.
    private mutating func parseExponent(start: Int) throws(JSONFailure) -> Int {
        position += 1
        var isNegative = false
        if position < end, bytes[position] == UInt8(ascii: "-") || bytes[position] == UInt8(ascii: "+") {
            isNegative = bytes[position] == UInt8(ascii: "-")
            position += 1
        }
        let digitsStart = position
        var magnitude = 0
        while position < end {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            if magnitude < 1_000_000 { magnitude = magnitude * 10 + Int(digit) }
            position += 1
        }
        guard position > digitsStart else { throw JSONFailure(reason: .invalidNumber, offset: start) }
        return isNegative ? -magnitude : magnitude
    }

    /// The powers of ten that a Double holds exactly.
    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
