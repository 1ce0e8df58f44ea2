extension RegexParser {
    /// An escape outside brackets; the backslash is already read.
    mutating func escape() throws(RegexFailure) -> RegexSyntaxTree {
        switch next.flatMap(UnicodeScalar.init) {
        case "A":
            position += 1
            return .lookbehind(ScalarSet([]), orStart: true)
        case "z":
            position += 1
            return .endOfText
        case "Z":
            position += 1
            let isLastNewline = RegexSyntaxTree.sequence([.scalar(.newline), .endOfText])
            return .alternatives([.endOfText, .lookahead(isLastNewline, isNegative: false)])
        case "b":
            position += 1
            return Self.boundary(isBoundary: true)
        case "B":
            position += 1
            return Self.boundary(isBoundary: false)
        default:
            return .scalar(try escapedSet())
        }
    }

    private static func boundary(isBoundary: Bool) -> RegexSyntaxTree {
        let afterWord = RegexSyntaxTree.lookbehind(.word, orStart: false)
        let afterOther = RegexSyntaxTree.lookbehind(ScalarSet.word.inverted, orStart: true)
        let beforeWord = RegexSyntaxTree.lookahead(.scalar(.word), isNegative: false)
        let beforeOther = RegexSyntaxTree.lookahead(.scalar(.word), isNegative: true)
        return isBoundary
            ? .alternatives([.sequence([afterWord, beforeOther]), .sequence([afterOther, beforeWord])])
            : .alternatives([.sequence([afterWord, beforeWord]), .sequence([afterOther, beforeOther])])
    }

    /// The set of an escape that stands for one character; the backslash is already read.
    mutating func escapedSet() throws(RegexFailure) -> ScalarSet {
        let scalar = try take()
        switch UnicodeScalar(scalar) {
        case "s": return .space
        case "S": return ScalarSet.space.inverted
        case "w": return .word
        case "W": return ScalarSet.word.inverted
        case "d": return try category("Nd")
        case "D": return try category("Nd").inverted
        case "h": return .hexadecimalDigit
        case "H": return ScalarSet.hexadecimalDigit.inverted
        case "p": return try property(isNegative: false)
        case "P": return try property(isNegative: true)
        case "n": return ScalarSet(0x0A)
        case "r": return ScalarSet(0x0D)
        case "t": return ScalarSet(0x09)
        case "f": return ScalarSet(0x0C)
        case "v": return ScalarSet(0x0B)
        case "a": return ScalarSet(0x07)
        case "e": return ScalarSet(0x1B)
        case "x": return ScalarSet(try codePoint(plainDigits: 2))
        case "u": return ScalarSet(try codePoint(plainDigits: 4))
        default:
            let isAlphanumeric = ScalarSet([0x30...0x39, 0x41...0x5A, 0x61...0x7A]).contains(scalar)
            guard scalar < 0x80, !isAlphanumeric else {
                position -= 1
                throw failure("the escape '\\\(UnicodeScalar(scalar).map(String.init) ?? "?")'")
            }
            return ScalarSet(scalar)
        }
    }

    private func category(_ name: String) throws(RegexFailure) -> ScalarSet {
        guard let set = ScalarSet.property(named: name) else { throw failure("the property '\(name)'") }
        return set
    }

    private mutating func codePoint(plainDigits: Int) throws(RegexFailure) -> UInt32 {
        let isBraced = skip("{")
        var value: UInt32 = 0
        var digits = 0
        while let scalar = next, ScalarSet.hexadecimalDigit.contains(scalar), digits < (isBraced ? 6 : plainDigits) {
            let digit = scalar <= 0x39 ? scalar - 0x30 : (scalar | 0x20) - 0x57
            value = value << 4 | digit
            digits += 1
            position += 1
        }
        guard digits > 0, !isBraced || skip("}"), UnicodeScalar(value) != nil else { throw failure("a code point") }
        return value
    }

    private mutating func property(isNegative: Bool) throws(RegexFailure) -> ScalarSet {
        guard skip("{") else { throw failure("a property without braces") }
        let isInverted = skip("^") != isNegative
        var name = ""
        while true {
            let scalar = try take()
            if scalar == 0x7D { break }
            guard let character = UnicodeScalar(scalar) else { throw failure("a property name") }
            name.unicodeScalars.append(character)
        }
        if ignoresCase, ["Lu", "Ll", "Lt"].contains(name) { throw failure("'\\p{\(name)}' without regard to case") }
        let set = try category(name)
        return isInverted ? set.inverted : set
    }

    /// A bracketed set; the opening bracket is already read. Sets nest and intersect as in Ruby.
    mutating func bracketed() throws(RegexFailure) -> ScalarSet {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw failure("nesting deeper than \(Self.depthLimit)") }
        let isNegative = skip("^")
        var intersected: ScalarSet?
        var ranges: [ClosedRange<UInt32>] = []
        var isFirst = true
        while true {
            if !isFirst, skip("]") { break }
            if skip("&&") {
                let set = ScalarSet(ranges)
                intersected = intersected?.intersection(set) ?? set
                ranges = []
                continue
            }
            if isNext("[:") {
                ranges += try named().ranges
            } else if skip("[") {
                ranges += try bracketed().ranges
            } else {
                ranges += try member()
            }
            isFirst = false
        }
        let set = ScalarSet(ranges)
        let result = intersected?.intersection(set) ?? set
        return isNegative ? result.inverted : result
    }

    /// A character, an escape, or a range of characters.
    private mutating func member() throws(RegexFailure) -> [ClosedRange<UInt32>] {
        let low = try endpoint()
        guard let first = low.single, isNext("-"), position + 1 < scalars.count, scalars[position + 1] != 0x5D else {
            return try low.single.map { (scalar) throws(RegexFailure) in try literal(scalar).ranges } ?? low.ranges
        }
        position += 1
        let high = try endpoint()
        guard let last = high.single, first <= last else { throw failure("a range that ends before it starts") }
        guard ignoresCase else { return [first...last] }
        guard last < 0x80 else { throw failure("a non-ASCII range without regard to case") }
        var ranges: [ClosedRange<UInt32>] = []
        for scalar in first...last { ranges += try literal(scalar).ranges }
        return ranges
    }

    private mutating func endpoint() throws(RegexFailure) -> ScalarSet {
        if skip("\\") {
            if skip("b") { return ScalarSet(0x08) }
            return try escapedSet()
        }
        return ScalarSet(try take())
    }

    /// `[:digit:]` and its like, as far as their meaning is certain.
    private mutating func named() throws(RegexFailure) -> ScalarSet {
        if skip("[:digit:]") { return try category("Nd") }
        if skip("[:space:]") { return .space }
        if skip("[:word:]") { return .word }
        throw failure("a named bracket class")
    }
}

extension ScalarSet {
    /// The member of a set of one.
    fileprivate var single: UInt32? {
        guard ranges.count == 1, ranges[0].lowerBound == ranges[0].upperBound else { return nil }
        return ranges[0].lowerBound
    }
}
