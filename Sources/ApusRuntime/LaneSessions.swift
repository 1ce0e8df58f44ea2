import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor
import Foundation

/// Sessions of one model, one for each lane. Each has a thread of its own and so, on CUDA, a stream of its own, and memory of the host that
/// the device fetches from by itself: while one lane copies, another computes.
///
/// Two sessions and not two runs of one: ONNX Runtime hands runs that overlap on a CUDA session each other's memory (microsoft/onnxruntime
/// #32342). The weights are on the device once for each lane; one lane takes them once.
final class LaneSessions: Sendable {
    /// One session and its thread.
    private final class Lane: @unchecked Sendable {
        // `bound` is used on the lane's thread alone, and freed by the last reference.
        let session: Session
        let thread: SessionThread
        private var bound: BoundSession

        init(_ session: Session, number: Int) throws(ApusError) {
            self.session = session
            thread = SessionThread(name: "apus-session-\(number)")
            bound = try BoundSession.open(session)
        }

        /// On the lane's thread.
        func perform(released: Bool, _ step: (SessionRoute.Run) throws(ApusError) -> [HostTensor]) throws(ApusError) -> [HostTensor] {
            let results = try step { arguments, places, profile, receive throws(ApusError) in
                try bound.run(arguments, outputs: places, profile: profile, receive: receive)
            }
            // The result is there; memory that could not be given back is no reason to lose it.
            if released { try? giveBack() }
            return results
        }

        /// On the lane's thread.
        func giveBack() throws(ApusError) {
            try bound.releaseStaging()
            try session.releaseUnusedMemory()
        }
    }

    private let lanes: [Lane]
    /// Numbers of the lanes on which nothing runs.
    private let free: FreeLanes

    /// - Parameter sessions: of the same model, one or more.
    init(_ sessions: [Session]) throws(ApusError) {
        var lanes: [Lane] = []
        for (number, session) in sessions.enumerated() { lanes.append(try Lane(session, number: number)) }
        self.lanes = lanes
        free = FreeLanes(count: lanes.count)
    }

    /// On whichever lane is free first.
    func perform(
        released: Bool, _ step: @escaping @Sendable (SessionRoute.Run) throws(ApusError) -> [HostTensor]
    ) throws(ApusError) -> [HostTensor] {
        let number = free.take()
        defer { free.giveBack(number) }
        let lane = lanes[number]
        return try lane.thread.perform { () throws(ApusError) in try lane.perform(released: released, step) }
    }

    func statistics() throws(ApusError) -> ArenaStatistics {
        var sum = ArenaStatistics()
        for lane in lanes {
            let one = try lane.session.statistics()
            sum.inUse += one.inUse
            sum.reserved += one.reserved
            sum.maxInUse += one.maxInUse
        }
        return sum
    }

    func releaseUnusedMemory() throws(ApusError) {
        for lane in lanes { try lane.thread.perform { () throws(ApusError) in try lane.giveBack() } }
    }
}

/// Numbers of which each is out once at a time.
private final class FreeLanes: @unchecked Sendable {
    // `numbers` is guarded by `condition`.
    private let condition = NSCondition()
    private var numbers: [Int]

    init(count: Int) {
        numbers = Array((0..<count).reversed())
    }

    /// Waits for one.
    func take() -> Int {
        condition.withLock {
            while true {
                if let number = numbers.popLast() { return number }
                condition.wait()
            }
        }
    }

    func giveBack(_ number: Int) {
        condition.withLock {
            numbers.append(number)
            condition.signal()
        }
    }
}
