import ApusErrors
import CApusCollectives

/// Owns a communicator of the ranks of one step.
final class Communicator: @unchecked Sendable {
    // The C side synchronises everything behind the handle.
    private let handle: OpaquePointer
    private let ranks: Int

    /// - Parameter collectives: nil for ranks that add up in the host's memory.
    /// - Throws: `out_of_memory`, and `device_unavailable` for devices that cannot be joined.
    init(ranks: Int, timeout: Duration, _ collectives: DeviceCollectives? = nil) throws(ApusError) {
        let devices = try collectives?.join()
        guard let handle = apus_communicator_create(Int32(clamping: ranks), timeout.nanoseconds) else {
            if let devices { apus_device_ranks_release(devices) }
            throw ApusError(.outOfMemory, "there is no memory for a communicator of \(ranks) ranks")
        }
        if let devices { apus_communicator_take_devices(handle, devices) }
        self.handle = handle
        self.ranks = ranks
    }

    deinit {
        apus_communicator_release(handle)
    }

    /// Runs `body` as `rank` on this thread; the sums of the model that it runs are then those of this communicator. Also tells the
    /// nanoseconds that it waited in them.
    func run<Value>(
        as rank: Int, _ body: () throws(ApusError) -> Value
    ) -> (result: Result<Value, ApusError>, waitedNanoseconds: Int) {
        let rank = Int32(clamping: rank)
        let before = apus_communicator_waited(handle, rank)
        apus_thread_join(handle, rank)
        defer { apus_thread_join(nil, 0) }
        let result = Result { () throws(ApusError) in try body() }
        return (result, Int(apus_communicator_waited(handle, rank) - before))
    }

    /// Wakes the ranks that wait. The communicator is of no use any more.
    func abort(_ reason: String) {
        apus_communicator_abort(handle, reason)
    }

    /// The ranks that did not come to a sum in time; empty when all did.
    var missing: [Int] {
        let bits = apus_communicator_missing(handle)
        return (0..<ranks).filter { bits & (1 << UInt64($0)) != 0 }
    }
}

extension Duration {
    /// Clamped to what an `Int64` holds.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, tooLarge) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return tooLarge ? .max : sum
    }
}
