import ApusErrors
import ApusExecution
import ApusTensor
import Foundation

/// A worker's process as the front holds it: its channels, and what is known of its life.
///
/// One thread of its own, the supervisor (`WorkerProcess+Supervision`), watches it, kills it and reaps it; all others only report and ask.
final class WorkerProcess: @unchecked Sendable {
    // `phase`, `verdict`, `waiters`, `unloads`, `progress` and `lastHeartbeat` are guarded by `condition`.

    private enum Phase {
        case serving
        case dead(DeathRecord)
    }

    let settings: ExecutorSettings
    let options: WorkerOptions
    let pid: Int32
    let control: FrameSocket
    /// The loader's, then one for each lane.
    let channels: [WorkerChannel]
    /// Storage for what comes back from the worker, and for what is made for it.
    let buffers = SharedBuffers()
    let clock: AwakeClock
    let waker: Waker
    private let condition = NSCondition()
    private var phase = Phase.serving
    /// What somebody has found; the supervisor acts on the first.
    private var verdict: Verdict?
    private var waiters: [CheckedContinuation<Void, Never>] = []
    /// Models to be given up, which the control channel had no room for.
    private var unloads: [UInt32] = []
    private var nextModel: UInt32 = 0
    private var progress: [UInt64]
    private var heartbeat: Int64

    init(
        _ settings: ExecutorSettings, _ options: WorkerOptions, pid: Int32, control: FrameSocket, channels: [WorkerChannel],
        clock: AwakeClock, waker: Waker
    ) {
        self.settings = settings
        self.options = options
        self.pid = pid
        self.control = control
        self.channels = channels
        self.clock = clock
        self.waker = waker
        progress = [UInt64](repeating: 0, count: settings.lanes)
        heartbeat = AwakeClock.monotonic
    }

    /// The channel that belongs to the calling thread; any other thread takes turns at the loader's.
    var channel: WorkerChannel {
        guard let current = WorkerChannel.current, current.index < channels.count, channels[current.index] === current else {
            return channels[0]
        }
        return current
    }

    /// Carries a call out. Throws `device_unavailable` when the worker has ended before, and what ended it when it ends meanwhile.
    func perform<Value>(
        on channel: WorkerChannel, _ call: (WorkerChannel) throws(WorkerChannel.Failure) -> Value
    ) throws(ApusError) -> Value {
        if let record = deathRecord { throw self.error(.unavailable, record.death) }
        do throws(WorkerChannel.Failure) {
            return try call(channel)
        } catch {
            switch error {
            case .refused(let refusal):
                if refusal.deviceFailure == .sticky { condemn(.poisoned) }
                throw refusal
            case .broken(let fault):
                condemn(Verdict(fault))
                let record = waitForDeath()
                throw self.error(record.failure(onChannel: channel.index), record.death)
            }
        }
    }

    /// Lets the supervisor end the worker. Only the first verdict counts.
    func condemn(_ verdict: Verdict) {
        condition.withLock {
            if self.verdict == nil { self.verdict = verdict }
        }
        waker.wake()
    }

    var pendingVerdict: Verdict? { condition.withLock { verdict } }

    /// How the worker ended; nil while it lives.
    var deathRecord: DeathRecord? {
        condition.withLock { if case .dead(let record) = phase { record } else { nil } }
    }

    /// The supervisor says how the worker ended; everybody who waits for it is woken.
    func died(_ record: DeathRecord) {
        let waiters = condition.withLock {
            phase = .dead(record)
            condition.broadcast()
            defer { self.waiters = [] }
            return self.waiters
        }
        for channel in channels { channel.socket.shut() }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns within the supervisor's time for it, 50 ms.
    private func waitForDeath() -> DeathRecord {
        condition.withLock {
            while true {
                if case .dead(let record) = phase { return record }
                condition.wait()
            }
        }
    }

    func ended() async {
        await withCheckedContinuation { continuation in
            let dead = condition.withLock {
                if case .dead = phase { return true }
                waiters.append(continuation)
                return false
            }
            if dead { continuation.resume() }
        }
    }

    func error(_ failure: DeviceFailure, _ death: WorkerDeath) -> ApusError {
        ApusError(
            ApusError.Code(rawValue: failure.rawValue), "worker \(pid) of \(settings.device) \(death)", place: "\(settings.device)")
    }
}

extension WorkerProcess {
    func newModel() -> UInt32 {
        condition.withLock {
            nextModel &+= 1
            return nextModel
        }
    }

    /// Gives a model up. Never waits.
    func unload(_ model: UInt32) {
        condition.withLock { unloads.append(model) }
        flushUnloads()
    }

    /// Sends what can be sent now; the supervisor sends the rest with the next heartbeat.
    func flushUnloads() {
        condition.withLock {
            while let model = unloads.first {
                var payload: [UInt8] = []
                payload.append(littleEndian: model)
                do throws(FrameFault) {
                    try control.send(Frame(.unload, sequence: 0, payload: payload), waiting: .not)
                } catch {
                    return
                }
                unloads.removeFirst()
            }
        }
    }

    /// Sends a frame on the control channel. Never waits.
    func tell(_ kind: Frame.Kind) throws(FrameFault) {
        let result = condition.withLock {
            Result { () throws(FrameFault) in try control.send(Frame(kind, sequence: 0), waiting: .not) }
        }
        try result.get()
    }

    /// Takes a heartbeat's answer in. Throws `malformed` for one that no worker gives.
    func ponged(_ payload: [UInt8]) throws(FrameFault) {
        var reader = PayloadReader(payload)
        var counts: [UInt64] = []
        for _ in 0..<settings.lanes { counts.append(try reader.integer(UInt64.self)) }
        try reader.end()
        condition.withLock {
            progress = counts
            heartbeat = AwakeClock.monotonic
        }
    }

    /// Steps that each lane had ended at the last heartbeat.
    var laneProgress: [UInt64] { condition.withLock { progress } }

    /// Nanoseconds since the worker gave its last sign of life on the control channel.
    var nanosecondsSinceHeartbeat: Int64 { condition.withLock { AwakeClock.monotonic - heartbeat } }
}
