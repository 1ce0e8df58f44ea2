/// Inputs that are not run for a while. The oldest is forgotten when there are too many.
struct QuarantinedInputs<Identity: Hashable & Sendable>: Sendable {
    /// At most this many are kept in mind, so that nobody can fill the memory with them.
    static var capacity: Int { 256 }
    /// How long an input is refused, nanoseconds: what ended workers may have been the device's fault after all.
    static var duration: Int { 600_000_000_000 }

    private var until: [Identity: Int] = [:]
    private var order: [Identity] = []

    var isEmpty: Bool { order.isEmpty }

    func contains(_ identity: Identity, now: Int) -> Bool {
        until[identity].map { now < $0 } ?? false
    }

    mutating func insert(_ identity: Identity, now: Int) {
        if until.updateValue(now.addingReportingOverflow(Self.duration).partialValue, forKey: identity) == nil { order.append(identity) }
        if order.count > Self.capacity { until[order.removeFirst()] = nil }
    }
}
