import Synchronization

/// A number that several threads count up and down.
final class Tally: Sendable {
    private let value = Atomic<Int>(0)

    var count: Int { value.load(ordering: .sequentiallyConsistent) }

    /// Adds `change` and returns the sum.
    @discardableResult
    func add(_ change: Int = 1) -> Int {
        value.wrappingAdd(change, ordering: .sequentiallyConsistent).newValue
    }
}
