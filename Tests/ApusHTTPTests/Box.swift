import ApusJSON
import Synchronization

/// Carries a value out of a closure.
final class Box: Sendable {
    private let stored = Mutex<JSONObject?>(nil)

    var value: JSONObject? { stored.withLock { $0 } }
    func set(_ value: JSONObject) { stored.withLock { $0 = value } }
}
