/// A regular expression that finds leftmost, first-preferred matches in time linear in the text.
///
/// Two passes without backtracking (A. Frisch and L. Cardelli, "Greedy Regular Expression Matching", ICALP 2004): a
/// deterministic automaton runs over the text from its end and notes, before each scalar, which nodes of the pattern
/// can still reach a match from there; then matches are read from the start, and at each node the first alternative
/// that can succeed is taken, so that no step is ever undone. The automaton is complete after loading: a pattern for
/// which it would be too large is refused, and matching shares nothing that changes.
struct Regex: Sendable {
    private let classes: ScalarClasses
    /// States after reading a class backwards: `transitions[(state * classCount + class) * previousCount + previous]`.
    private let transitions: [UInt16]
    /// The states at the end of the text, for each class before it.
    private let finalStates: [UInt16]
    /// What to do at a point in a state: `steps[point * stateCount + state]`. Point 0 is the start of a match, point
    /// k + 1 is after reading the k-th scalar node.
    private let steps: [UInt16]
    private let stateCount: Int
    private let usesPrevious: Bool

    init(_ pattern: String) throws(RegexFailure) {
        try self.init(RegexParser.parse(pattern))
    }

    /// Matches `text` itself.
    init(literal text: String) throws(RegexFailure) {
        try self.init(.sequence(text.unicodeScalars.map { .scalar(ScalarSet($0.value)) }))
    }

    private init(_ tree: RegexSyntaxTree) throws(RegexFailure) {
        let program = try RegexProgram(tree)
        classes = try ScalarClasses(program.sets)
        let automaton = try RegexAutomaton(program, classes)
        transitions = automaton.transitions
        finalStates = automaton.finalStates
        steps = try automaton.steps()
        stateCount = automaton.stateCount
        usesPrevious = program.usesLookbehind
    }

    /// Calls `body` with the byte range of every match, in order. A match may be empty, though not where the one before
    /// it ended.
    func forEachMatch(in text: UTF8Bytes, _ body: (_ start: Int, _ end: Int) -> Void) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: text.count + 1) { states in
            note(text, into: states)
            steps.withUnsafeBufferPointer { steps in
                let stateCount = stateCount
                var position = 0
                var lastEnd = -1
                while position <= text.count {
                    var step = Int(steps[Int(states[position])])
                    var end = position
                    if step != RegexAutomaton.fail {
                        while step != RegexAutomaton.accept {
                            end += UTF8Length.ofScalar(startingWith: text[end])
                            step = Int(steps[(step - 1) * stateCount + Int(states[end])])
                        }
                    }
                    if step == RegexAutomaton.fail || (end == position && lastEnd == end) {
                        guard position < text.count else { return }
                        position += UTF8Length.ofScalar(startingWith: text[position])
                        continue
                    }
                    body(position, end)
                    lastEnd = end
                    position = end
                }
            }
        }
    }

    /// Runs the automaton from the end and notes its state before each scalar.
    private func note(_ text: UTF8Bytes, into states: UnsafeMutableBufferPointer<UInt16>) {
        let classCount = classes.count
        guard usesPrevious else {
            transitions.withUnsafeBufferPointer { transitions in
                var state = Int(finalStates[0])
                states[text.count] = UInt16(state)
                var index = text.count
                while index > 0 {
                    index = text.start(ofScalarBefore: index)
                    state = Int(transitions[state * classCount + classes.classOf(text.scalar(at: index).value)])
                    states[index] = UInt16(state)
                }
            }
            return
        }
        // The class `classCount` stands for the start of the text.
        let previousCount = classCount + 1
        var index = text.count
        var start = index > 0 ? text.start(ofScalarBefore: index) : 0
        var scalarClass = index > 0 ? classes.classOf(text.scalar(at: start).value) : classCount
        var state = Int(finalStates[scalarClass])
        states[index] = UInt16(state)
        while index > 0 {
            index = start
            start = index > 0 ? text.start(ofScalarBefore: index) : 0
            let previous = index > 0 ? classes.classOf(text.scalar(at: start).value) : classCount
            state = Int(transitions[(state * classCount + scalarClass) * previousCount + previous])
            states[index] = UInt16(state)
            scalarClass = previous
        }
    }
}
