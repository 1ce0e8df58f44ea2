/// How fast a device computes now, measured by itself: the time of its recent batches over the usual time of batches of their size.
package enum PerformanceGrade: String, Sendable, CaseIterable, Comparable {
    case a = "A"
    case b = "B"
    case c = "C"
    case d = "D"
    /// So slow that its health verdict says so with the standard limits.
    case f = "F"

    /// A up to 1.1 times the usual time, B up to 1.25, C up to 1.5, D up to 2, F beyond.
    package init(slowdown: Double) {
        self =
            switch slowdown {
            case ...1.1: .a
            case ...1.25: .b
            case ...1.5: .c
            case ...2: .d
            default: .f
            }
    }

    package static func < (left: PerformanceGrade, right: PerformanceGrade) -> Bool { left.rawValue < right.rawValue }
}
