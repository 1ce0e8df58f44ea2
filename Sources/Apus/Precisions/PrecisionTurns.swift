package import ApusExecution

/// The order in which forms are measured, turn by turn, and what is made of it. Pure.
///
/// Turns of all forms alternate, forwards and then backwards, so that a machine that becomes slower meanwhile is no disadvantage to those that
/// come last; and the best turn of a form counts, since whatever else the machine does makes turns slower, never faster. Where no second turn
/// comes near a form's best the machine was busy: another round is measured, and what never became steady is not to be remembered.
package struct PrecisionTurns: Sendable {
    /// A round is one turn forwards and one backwards.
    package static let mostRounds = 3
    /// Two turns agree when the slower has at least this part of the faster one's speed. A quiet machine's differ by a few hundredths.
    package static let agreement = 0.85

    private let forms: [NetworkForm]
    private var waiting: [NetworkForm]
    private var round = 1
    private var turns: [NetworkForm: [PrecisionChoice.Figures]] = [:]
    private var failures: [NetworkForm: String] = [:]
    private var mayPass = false

    package init(_ forms: [NetworkForm]) {
        self.forms = forms
        waiting = Self.round(of: forms)
    }

    /// What to measure next; nil when enough is known.
    package mutating func next() -> NetworkForm? {
        while true {
            while !waiting.isEmpty {
                let form = waiting.removeFirst()
                if failures[form] == nil { return form }
            }
            guard !isSteady, round < Self.mostRounds else { return nil }
            round += 1
            waiting = Self.round(of: forms)
        }
    }

    package mutating func measured(_ form: NetworkForm, _ figures: PrecisionChoice.Figures) {
        turns[form, default: []].append(figures)
    }

    /// - Parameter mayPass: whether it may be otherwise at the next start.
    package mutating func failed(_ form: NetworkForm, _ reason: String, mayPass: Bool) {
        failures[form] = reason
        if mayPass { self.mayPass = true }
    }

    /// What is known of the forms, in their order.
    package var candidates: [PrecisionChoice.Candidate] {
        forms.compactMap { form in
            if let reason = failures[form] { return .init(form, .failed(reason)) }
            guard let turns = turns[form], let first = turns.first else { return nil }
            return .init(form, .measured(turns.dropFirst().reduce(first) { $0.best(with: $1) }))
        }
    }

    /// Whether the candidates will be the same another time.
    package var areLasting: Bool { !mayPass && isSteady }

    private var isSteady: Bool {
        forms.count == 1
            || forms.allSatisfy { form in
                let speeds = (turns[form] ?? []).map(\.tokensPerSecond).sorted(by: >)
                return failures[form] != nil || speeds.count > 1 && speeds[1] >= Self.agreement * speeds[0]
            }
    }

    private static func round(of forms: [NetworkForm]) -> [NetworkForm] {
        forms.count == 1 ? forms : forms + forms.reversed()
    }
}

extension PrecisionChoice.Figures {
    fileprivate func best(with other: Self) -> Self {
        Self(
            cosine: min(cosine, other.cosine),
            shortTokensPerSecond: [shortTokensPerSecond, other.shortTokensPerSecond].compactMap { $0 }.max(),
            longTokensPerSecond: [longTokensPerSecond, other.longTokensPerSecond].compactMap { $0 }.max())
    }
}
