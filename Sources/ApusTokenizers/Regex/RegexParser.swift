/// Parses the part of Oniguruma's Ruby syntax that tokenizer files use.
///
/// Oniguruma is what Python's `tokenizers` runs; it backtracks, and so cannot be used on user text. Constructs that no
/// linear-time automaton can follow, and those whose meaning depends on Oniguruma's case tables, are refused by name.
struct RegexParser {
    private(set) var scalars: [UInt32]
    var position = 0
    var ignoresCase = false
    var depth = 0

    /// The longest pattern that is read, in scalars.
    static let scalarLimit = 8_192
    static let depthLimit = 64
    /// The highest count in an interval such as `{2,8}`.
    static let countLimit = 1_000
    /// The most quantifiers on top of each other.
    static let quantifierLimit = 8

    private init(_ pattern: String) {
        scalars = pattern.unicodeScalars.map(\.value)
    }

    static func parse(_ pattern: String) throws(RegexFailure) -> RegexSyntaxTree {
        var parser = RegexParser(pattern)
        guard parser.scalars.count <= scalarLimit else {
            throw RegexFailure(reason: "the pattern is longer than \(scalarLimit) characters")
        }
        let tree = try parser.alternatives()
        guard parser.position == parser.scalars.count else { throw parser.failure("an unmatched ')'") }
        return tree
    }

    func failure(_ construct: String) -> RegexFailure {
        RegexFailure(reason: "\(construct) at character \(position + 1) of the pattern is not supported")
    }

    // MARK: Reading

    var next: UInt32? { position < scalars.count ? scalars[position] : nil }

    func isNext(_ text: String) -> Bool {
        var index = position
        for scalar in text.unicodeScalars {
            guard index < scalars.count, scalars[index] == scalar.value else { return false }
            index += 1
        }
        return true
    }

    mutating func skip(_ text: String) -> Bool {
        guard isNext(text) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    mutating func take() throws(RegexFailure) -> UInt32 {
        guard let scalar = next else { throw failure("the end in the middle of an expression") }
        position += 1
        return scalar
    }

    // MARK: Expressions

    mutating func alternatives() throws(RegexFailure) -> RegexSyntaxTree {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw failure("nesting deeper than \(Self.depthLimit)") }
        var branches = [try sequence()]
        while skip("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(RegexFailure) -> RegexSyntaxTree {
        var items: [RegexSyntaxTree] = []
        var previousLetter: UInt32?
        while let scalar = next, !isNext("|"), !isNext(")") {
            if skip("(?#") {
                while try take() != 0x29 {}
                continue
            }
            if skip("(?i)") {
                // An option without a body holds for the rest of the group, alternatives included.
                ignoresCase = true
                items.append(try alternatives())
                break
            }
            let start = position
            let atom = try atom()
            let isLetter = position == start + 1
            if ignoresCase, isLetter { try refuseFoldingPair(previousLetter, scalar) }
            let quantified = try quantifiers(on: atom)
            previousLetter = isLetter ? scalar : nil
            items.append(quantified)
        }
        return items.count == 1 ? items[0] : items.isEmpty ? .empty : .sequence(items)
    }

    /// Some pairs of letters equal one ligature without regard to case; following that needs case tables.
    private func refuseFoldingPair(_ first: UInt32?, _ second: UInt32) throws(RegexFailure) {
        guard let first, let left = UnicodeScalar(first | 0x20), let right = UnicodeScalar(second | 0x20) else {
            return
        }
        let pair = String(left) + String(right)
        if ["ss", "ff", "fi", "fl", "st"].contains(pair) {
            throw failure("'\(pair)' without regard to case")
        }
    }

    private mutating func atom() throws(RegexFailure) -> RegexSyntaxTree {
        let scalar = try take()
        switch UnicodeScalar(scalar) {
        case "(": return try group()
        case "[": return .scalar(try bracketed())
        case ".": return .scalar(ScalarSet.newline.inverted)
        case "^":
            // A line that starts at the end of the text is none.
            let isBeforeText = RegexSyntaxTree.lookahead(.endOfText, isNegative: true)
            let isNewLine = RegexSyntaxTree.sequence([.lookbehind(.newline, orStart: false), isBeforeText])
            return .alternatives([.lookbehind(ScalarSet([]), orStart: true), isNewLine])
        case "$": return .alternatives([.endOfText, .lookahead(.scalar(.newline), isNegative: false)])
        case "\\": return try escape()
        case "*", "+", "?": throw failure("a quantifier without anything to repeat")
        default: return .scalar(try literal(scalar))
        }
    }

    /// The set that one literal scalar matches.
    func literal(_ scalar: UInt32) throws(RegexFailure) -> ScalarSet {
        guard ignoresCase else { return ScalarSet(scalar) }
        let variants: [UInt32: [UInt32]] = [0x73: [0x17F], 0x6B: [0x212A]]
        guard scalar < 0x80 else { throw failure("a non-ASCII letter without regard to case") }
        let lower = scalar | 0x20
        guard lower >= 0x61, lower <= 0x7A else { return ScalarSet(scalar) }
        return ScalarSet(([lower, lower & ~0x20] + (variants[lower] ?? [])).map { $0...$0 })
    }

    private mutating func group() throws(RegexFailure) -> RegexSyntaxTree {
        let outerCase = ignoresCase
        defer { ignoresCase = outerCase }
        if skip("?:") { return try closed(try alternatives()) }
        if skip("?i:") {
            ignoresCase = true
            return try closed(try alternatives())
        }
        if skip("?-i:") {
            ignoresCase = false
            return try closed(try alternatives())
        }
        if skip("?=") { return .lookahead(try closed(try alternatives()), isNegative: false) }
        if skip("?!") { return .lookahead(try closed(try alternatives()), isNegative: true) }
        if skip("?<=") { return try lookbehind(try closed(try alternatives()), isNegative: false) }
        if skip("?<!") { return try lookbehind(try closed(try alternatives()), isNegative: true) }
        if isNext("?>") { throw failure("an atomic group") }
        if isNext("?") { throw failure("a group with options or a name") }
        return try closed(try alternatives())
    }

    private mutating func closed(_ tree: RegexSyntaxTree) throws(RegexFailure) -> RegexSyntaxTree {
        guard skip(")") else { throw failure("a group that is not closed") }
        return tree
    }

    private func lookbehind(_ tree: RegexSyntaxTree, isNegative: Bool) throws(RegexFailure) -> RegexSyntaxTree {
        guard let set = tree.singleScalar else { throw failure("a lookbehind of more than one character") }
        return .lookbehind(isNegative ? set.inverted : set, orStart: isNegative)
    }

    // MARK: Quantifiers

    private mutating func quantifiers(on atom: RegexSyntaxTree) throws(RegexFailure) -> RegexSyntaxTree {
        var tree = atom
        var count = 0
        while true {
            var repetition: RegexRepetition
            var isInterval = false
            if skip("*") {
                repetition = RegexRepetition(minimum: 0, maximum: nil, isGreedy: true)
            } else if skip("+") {
                repetition = RegexRepetition(minimum: 1, maximum: nil, isGreedy: true)
            } else if skip("?") {
                repetition = RegexRepetition(minimum: 0, maximum: 1, isGreedy: true)
            } else if let interval = try interval() {
                repetition = interval
                isInterval = true
            } else {
                return tree
            }
            count += 1
            guard count <= Self.quantifierLimit else { throw failure("a pile of quantifiers") }
            if skip("?") {
                if isInterval, repetition.minimum == repetition.maximum { throw failure("'{n}?'") }
                repetition.isGreedy = false
            } else if !isInterval, skip("+") {
                tree = try possessive(tree, repetition)
                continue
            }
            switch tree {
            case .lookahead, .lookbehind, .endOfText: throw failure("a quantifier on an assertion")
            case _ where repetition.maximum == nil && tree.emptiness == .preferred:
                // Oniguruma leaves such a loop after an empty round; an automaton cannot tell the rounds apart.
                throw failure("repeating what would rather match nothing")
            default: tree = .repetition(tree, repetition)
            }
        }
    }

    /// A possessive repetition of one character never gives back, which is to say: the next character is another one.
    private func possessive(
        _ tree: RegexSyntaxTree, _ repetition: RegexRepetition
    ) throws(RegexFailure) -> RegexSyntaxTree {
        guard tree.singleScalar != nil else { throw failure("a possessive quantifier on more than one character") }
        let isOther = RegexSyntaxTree.lookahead(tree, isNegative: true)
        if repetition.maximum == 1 { return .alternatives([tree, isOther]) }
        return .sequence([.repetition(tree, repetition), isOther])
    }

    /// `{n}`, `{n,}`, `{n,m}` or `{,m}`; anything else that starts with a brace is literal text.
    private mutating func interval() throws(RegexFailure) -> RegexRepetition? {
        guard isNext("{") else { return nil }
        let start = position
        position += 1
        let low = try number()
        var high = low
        if skip(",") { high = try number() } else if low == nil { high = nil }
        let hasComma = position > start + 1 && scalars[position - 1] == 0x2C
        guard low != nil || high != nil, skip("}") else {
            position = start
            return nil
        }
        let maximum = hasComma ? nil : high
        if let maximum, maximum < low ?? 0 { throw failure("an interval that ends before it starts") }
        return RegexRepetition(minimum: low ?? 0, maximum: maximum, isGreedy: true)
    }

    private mutating func number() throws(RegexFailure) -> Int? {
        var value: Int?
        while let scalar = next, scalar >= 0x30, scalar <= 0x39 {
            value = (value ?? 0) * 10 + Int(scalar - 0x30)
            guard let value, value <= Self.countLimit else { throw failure("a count above \(Self.countLimit)") }
            position += 1
        }
        return value
    }
}

extension RegexSyntaxTree {
    /// The set of an expression that always matches exactly one scalar.
    var singleScalar: ScalarSet? {
        switch self {
        case .scalar(let set):
            return set
        case .sequence(let items) where items.count == 1:
            return items[0].singleScalar
        case .alternatives(let branches):
            var union = ScalarSet([])
            for branch in branches {
                guard let set = branch.singleScalar else { return nil }
                union = union.union(set)
            }
            return union
        default:
            return nil
        }
    }
}
