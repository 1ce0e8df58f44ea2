/// Token sequences that are not run for a while. The oldest is forgotten when there are too many.
struct QuarantinedInputs: Sendable {
    /// At most this many are kept in mind, so that nobody can fill the memory with them.
    static let capacity = 256
    /// How long an input is refused, nanoseconds: what ended workers may have been the device's fault after all.
    static let duration = 600_000_000_000

    private var until: [[Int32]: Int] = [:]
    private var order: [[Int32]] = []

    var isEmpty: Bool { order.isEmpty }

    func contains(_ ids: [Int32], now: Int) -> Bool {
        until[ids].map { now < $0 } ?? false
    }

    mutating func insert(_ ids: [Int32], now: Int) {
        if until.updateValue(now.addingReportingOverflow(Self.duration).partialValue, forKey: ids) == nil { order.append(ids) }
        if order.count > Self.capacity { until[order.removeFirst()] = nil }
    }
}
