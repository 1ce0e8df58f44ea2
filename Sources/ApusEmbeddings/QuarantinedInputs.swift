/// Token sequences that are never run again. The oldest is forgotten when there are too many.
struct QuarantinedInputs: Sendable {
    /// At most this many ids of sequences are kept in mind, so that nobody can fill the memory with them.
    static let capacity = 256

    private var known: Set<[Int32]> = []
    private var order: [[Int32]] = []

    var isEmpty: Bool { order.isEmpty }

    func contains(_ ids: [Int32]) -> Bool {
        !order.isEmpty && known.contains(ids)
    }

    mutating func insert(_ ids: [Int32]) {
        guard known.insert(ids).inserted else { return }
        order.append(ids)
        if order.count > Self.capacity { known.remove(order.removeFirst()) }
    }
}
