/// The deterministic automaton of a pattern, read backwards, with every state built.
struct RegexAutomaton {
    /// No match starts here.
    static let fail = 0
    /// The match ends here.
    static let accept = 1
    /// The most states and table entries a pattern may need.
    static let stateLimit = 4_000
    static let tableLimit = 1 << 20
    static let stepLimit = 1 << 19
    /// The most node visits spent on building the states; about a second of work.
    static let workLimit = 1 << 27

    private let program: RegexProgram
    private let classes: ScalarClasses
    private let usesPrevious: Bool
    /// For each node, the nodes that reach it without reading anything.
    private var predecessors: [[Int]]
    private var nodesOfLevel: [[Int]] = []
    private var memberships: [[UInt64]] = []
    private var indexOfMembership: [[UInt64]: UInt16] = [:]
    private var work = 0

    private(set) var transitions: [UInt16] = []
    private(set) var finalStates: [UInt16] = []
    var stateCount: Int { memberships.count }

    init(_ program: RegexProgram, _ classes: ScalarClasses) throws(RegexFailure) {
        self.program = program
        self.classes = classes
        usesPrevious = program.usesLookbehind
        predecessors = Array(repeating: [], count: program.nodes.count)
        nodesOfLevel = Array(repeating: [], count: (program.levels.max() ?? 0) + 1)
        for (index, node) in program.nodes.enumerated() {
            nodesOfLevel[program.levels[index]].append(index)
            switch node {
            case .split(let targets): for target in targets { predecessors[target].append(index) }
            case .lookahead(_, _, let next), .lookbehind(_, _, let next), .endOfText(let next):
                predecessors[next].append(index)
            case .scalar, .accept: break
            }
        }
        try build()
    }

    /// The classes that may stand before a position: all of them and the start of the text, or one that means any.
    private var previousClasses: [Int?] {
        usesPrevious ? (0..<classes.count).map { $0 } + [nil] : [nil]
    }

    private mutating func build() throws(RegexFailure) {
        for previous in previousClasses {
            finalStates.append(try state(after: [], reading: nil, previous: previous))
        }
        var next = 0
        while next < memberships.count {
            let membership = memberships[next]
            for scalarClass in 0..<classes.count {
                for previous in previousClasses {
                    transitions.append(try state(after: membership, reading: scalarClass, previous: previous))
                }
            }
            guard transitions.count <= Self.tableLimit else { throw Self.tooLarge }
            next += 1
        }
    }

    private static var tooLarge: RegexFailure {
        RegexFailure(reason: "the pattern needs an automaton of more than \(stateLimit) states or too many entries")
    }

    /// The state before a scalar of class `reading` (nil: at the end of the text), given the one after it.
    private mutating func state(
        after following: [UInt64], reading scalarClass: Int?, previous: Int?
    ) throws(RegexFailure) -> UInt16 {
        var members = [UInt64](repeating: 0, count: (program.nodes.count + 63) / 64)
        func isMember(_ node: Int, of set: [UInt64]) -> Bool {
            !set.isEmpty && set[node >> 6] & (1 << UInt64(node & 63)) != 0
        }
        // Lookaheads are decided before the nodes that ask them.
        for level in nodesOfLevel.indices.reversed() {
            var pending: [Int] = []
            for node in nodesOfLevel[level] {
                switch program.nodes[node] {
                case .accept:
                    pending.append(node)
                case .scalar(let set, let next):
                    if let scalarClass, classes.membership[set][scalarClass], isMember(next, of: following) {
                        pending.append(node)
                    }
                default:
                    break
                }
            }
            work += nodesOfLevel[level].count
            while let node = pending.popLast() {
                if isMember(node, of: members) { continue }
                members[node >> 6] |= 1 << UInt64(node & 63)
                work += 1 + predecessors[node].count
                for predecessor in predecessors[node] {
                    let holds =
                        switch program.nodes[predecessor] {
                        case .lookahead(let body, let isNegative, _): isMember(body, of: members) != isNegative
                        case .lookbehind(let set, let orStart, _):
                            previous.map { classes.membership[set][$0] } ?? orStart
                        case .endOfText: scalarClass == nil
                        default: true
                        }
                    if holds { pending.append(predecessor) }
                }
            }
        }
        guard work <= Self.workLimit else { throw Self.tooLarge }
        if let index = indexOfMembership[members] { return index }
        guard memberships.count < Self.stateLimit else { throw Self.tooLarge }
        let index = UInt16(memberships.count)
        memberships.append(members)
        indexOfMembership[members] = index
        return index
    }

    /// For each point and state, what to read next: `fail`, `accept`, or 2 + the index of a scalar node.
    func steps() throws(RegexFailure) -> [UInt16] {
        let scalarNodes = program.nodes.indices.filter { if case .scalar = program.nodes[$0] { true } else { false } }
        var indexOfNode: [Int: Int] = [:]
        for (index, node) in scalarNodes.enumerated() { indexOfNode[node] = index }
        let points = [program.start] + scalarNodes.map {
            if case .scalar(_, let next) = program.nodes[$0] { next } else { $0 }
        }
        guard points.count * stateCount <= Self.stepLimit else { throw Self.tooLarge }
        var steps: [UInt16] = []
        steps.reserveCapacity(points.count * stateCount)
        for (point, start) in points.enumerated() {
            let isInside = point == 0 || program.levels[scalarNodes[point - 1]] == 0
            for membership in memberships {
                let target = isInside ? firstTarget(from: start, in: membership) : nil
                guard let target else {
                    steps.append(UInt16(Self.fail))
                    continue
                }
                steps.append(indexOfNode[target].map { UInt16($0 + 2) } ?? UInt16(Self.accept))
            }
        }
        return steps
    }

    /// The first scalar or accepting node in order of preference that still leads to a match.
    private func firstTarget(from start: Int, in membership: [UInt64]) -> Int? {
        var visited = Set<Int>()
        var pending = [start]
        while let node = pending.popLast() {
            guard membership[node >> 6] & (1 << UInt64(node & 63)) != 0, visited.insert(node).inserted else { continue }
            switch program.nodes[node] {
            case .accept, .scalar: return node
            case .split(let targets): pending.append(contentsOf: targets.reversed())
            case .lookahead(_, _, let next), .lookbehind(_, _, let next), .endOfText(let next): pending.append(next)
            }
        }
        return nil
    }
}
