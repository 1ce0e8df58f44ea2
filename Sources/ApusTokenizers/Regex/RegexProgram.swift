/// A pattern as a nondeterministic automaton over scalars.
struct RegexProgram {
    enum Node {
        /// Reads one scalar of the set.
        case scalar(set: Int, next: Int)
        /// Tries the targets in order.
        case split([Int])
        /// Goes on when the expression at `body` matches here, or does not when negative.
        case lookahead(body: Int, isNegative: Bool, next: Int)
        /// Goes on when the scalar before is in the set, or when there is none and `orStart` holds.
        case lookbehind(set: Int, orStart: Bool, next: Int)
        /// Goes on at the end of the text.
        case endOfText(next: Int)
        case accept
    }

    /// The most nodes a pattern may need.
    static let nodeLimit = 2_000

    private(set) var nodes: [Node] = []
    /// How many lookaheads each node is inside of.
    private(set) var levels: [Int] = []
    private(set) var sets: [ScalarSet] = []
    private(set) var start = 0
    private var indexOfSet: [ScalarSet: Int] = [:]
    /// Expressions compiled, counted because repeating an empty one costs time but no nodes.
    private var visits = 0

    init(_ tree: RegexSyntaxTree) throws(RegexFailure) {
        let accept = try add(.accept, 0)
        start = try compile(tree, next: accept, level: 0)
    }

    var usesLookbehind: Bool {
        nodes.contains { if case .lookbehind = $0 { true } else { false } }
    }

    private mutating func add(_ node: Node, _ level: Int) throws(RegexFailure) -> Int {
        guard nodes.count < Self.nodeLimit else {
            throw RegexFailure(reason: "the pattern needs more than \(Self.nodeLimit) automaton nodes")
        }
        nodes.append(node)
        levels.append(level)
        return nodes.count - 1
    }

    private mutating func index(of set: ScalarSet) -> Int {
        if let index = indexOfSet[set] { return index }
        sets.append(set)
        indexOfSet[set] = sets.count - 1
        return sets.count - 1
    }

    /// Adds the nodes of `tree` in front of `next` and returns where they start.
    private mutating func compile(_ tree: RegexSyntaxTree, next: Int, level: Int) throws(RegexFailure) -> Int {
        visits += 1
        guard visits <= 16 * Self.nodeLimit else { throw RegexFailure(reason: "the pattern repeats too much") }
        switch tree {
        case .empty:
            return next
        case .scalar(let set):
            return try add(.scalar(set: index(of: set), next: next), level)
        case .sequence(let items):
            var target = next
            for item in items.reversed() { target = try compile(item, next: target, level: level) }
            return target
        case .alternatives(let branches):
            var targets: [Int] = []
            for branch in branches { targets.append(try compile(branch, next: next, level: level)) }
            return try add(.split(targets), level)
        case .repetition(let body, let repetition):
            return try compile(body, repetition, next: next, level: level)
        case .lookahead(let body, let isNegative):
            let accept = try add(.accept, level + 1)
            let start = try compile(body, next: accept, level: level + 1)
            return try add(.lookahead(body: start, isNegative: isNegative, next: next), level)
        case .lookbehind(let set, let orStart):
            return try add(.lookbehind(set: index(of: set), orStart: orStart, next: next), level)
        case .endOfText:
            return try add(.endOfText(next: next), level)
        }
    }

    private mutating func compile(
        _ body: RegexSyntaxTree, _ repetition: RegexRepetition, next: Int, level: Int
    ) throws(RegexFailure) -> Int {
        var target = next
        if let maximum = repetition.maximum {
            for _ in repetition.minimum..<max(maximum, repetition.minimum) {
                let start = try compile(body, next: target, level: level)
                target = try add(.split(repetition.isGreedy ? [start, next] : [next, start]), level)
            }
        } else {
            let loop = try add(.split([]), level)
            let start = try compile(body, next: loop, level: level)
            nodes[loop] = .split(repetition.isGreedy ? [start, next] : [next, start])
            target = loop
        }
        for _ in 0..<repetition.minimum { target = try compile(body, next: target, level: level) }
        return target
    }
}
