/// What became of one look at a device (DEV-6), with the figures that led to it.
package struct HealthVerdict: Sendable, Equatable {
    /// In the order of severity.
    package enum Outcome: String, Sendable, CaseIterable, Comparable {
        case healthy
        /// The device works, with less than its strength: it should get less work.
        case throttle
        /// Something may be wrong with what it computes: it should be asked for a known answer.
        case investigate
        /// The device must not be used as it is.
        case fallBack = "fall_back"

        package static func < (left: Outcome, right: Outcome) -> Bool { left.severity < right.severity }

        private var severity: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    /// What was looked at.
    package enum Subject: String, Sendable, CaseIterable {
        /// Whether the driver answers for the device at all.
        case answer
        case memory
        case temperature
        case clocks
        case pcie
        case ecc
        case remappedRows = "remapped_rows"
        case performance
        case knownAnswer = "known_answer"
    }

    /// One thing that is not as it should be.
    package struct Finding: Sendable, Equatable, CustomStringConvertible {
        package var subject: Subject
        package var outcome: Outcome
        /// The figure and its limit, `91 C, the driver slows it down at 93 C`.
        package var text: String

        package init(_ subject: Subject, _ outcome: Outcome, _ text: String) {
            self.subject = subject
            self.outcome = outcome
            self.text = text
        }

        package var description: String { "\(subject.rawValue): \(text)" }
    }

    /// The worst first.
    package let findings: [Finding]

    /// The worst of the findings.
    package var outcome: Outcome { findings.first?.outcome ?? .healthy }

    package init(_ findings: [Finding] = []) {
        self.findings = findings.enumerated()
            .sorted { ($1.element.outcome, $0.offset) < ($0.element.outcome, $1.offset) }
            .map(\.element)
    }
}
