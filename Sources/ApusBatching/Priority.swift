/// How urgent a request is. The smaller is the more urgent.
package enum Priority: Int, Sendable, CaseIterable, Comparable {
    case high, medium, low

    package static func < (a: Priority, b: Priority) -> Bool { a.rawValue < b.rawValue }
}
