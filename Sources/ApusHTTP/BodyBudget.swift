import Synchronization

/// The memory that bodies still arriving or being answered may take, over all connections: each may be within its own limit and together
/// they could still be more than the machine has.
final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) {
        self.limit = limit
    }

    /// - Returns: false, and nothing is taken, when `count` more bytes do not fit.
    func take(_ count: Int) -> Bool {
        let (_, after) = used.add(count, ordering: .relaxed)
        guard after <= limit else {
            used.subtract(count, ordering: .relaxed)
            return false
        }
        return true
    }

    func giveBack(_ count: Int) {
        used.subtract(count, ordering: .relaxed)
    }
}
