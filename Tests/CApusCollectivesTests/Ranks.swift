import CApusCollectives
import Foundation

/// Threads that add up in one communicator.
final class Ranks: @unchecked Sendable {
    // The communicator synchronises itself; `results` are written at places of their own and read when all threads have ended.
    let communicator: OpaquePointer
    let count: Int

    init?(_ count: Int, timeout: Double = 30) {
        guard let communicator = apus_communicator_create(Int32(count), Int64(timeout * 1e9)) else { return nil }
        self.communicator = communicator
        self.count = count
    }

    deinit { apus_communicator_release(communicator) }

    var reason: String? {
        var text = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        guard apus_communicator_reason(communicator, &text) != 0 else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    func abort(_ reason: String) { apus_communicator_abort(communicator, reason) }

    func sum(_ rank: Int, _ input: [Float]) -> (result: apus_sum_result, output: [Float]) {
        var output = [Float](repeating: .nan, count: input.count)
        let result = apus_communicator_sum(communicator, Int32(rank), input, &output, input.count)
        return (result, output)
    }

    /// Runs `body` for each of these ranks on a thread of its own, and returns when all have ended.
    @discardableResult
    func each<Value: Sendable>(_ ranks: [Int]? = nil, _ body: @escaping @Sendable (Int) -> Value) -> [Value] {
        let ranks = ranks ?? Array(0..<count)
        let values = Gathered<Value>()
        let group = DispatchGroup()
        for rank in ranks {
            group.enter()
            let thread = Thread {
                values.set(rank, body(rank))
                group.leave()
            }
            thread.start()
        }
        group.wait()
        return ranks.compactMap { values[$0] }
    }
}

private final class Gathered<Value: Sendable>: @unchecked Sendable {
    // `values` is guarded by `lock`.
    private let lock = NSLock()
    private var values: [Int: Value] = [:]

    func set(_ rank: Int, _ value: Value) { lock.withLock { values[rank] = value } }
    subscript(rank: Int) -> Value? { lock.withLock { values[rank] } }
}
