import ApusErrors
import ApusExecution
import CApusProcess
import Foundation

/// The supervisor's loop. It alone signals and reaps the process, so that a process id is never used after it was given back.
extension WorkerProcess {
    /// How long the end of a process is waited for before it is judged by what is known: 50 ms.
    private static let reapNanoseconds: Int64 = 50_000_000
    /// Longer sleeps than asked for mean that this process could not run.
    private static let absenceNanoseconds: Int64 = 500_000_000

    /// Watches the worker until it has ended, tells so, and goes on until it is reaped. Runs on the supervisor's thread.
    func supervise(_ decoder: FrameDecoder) {
        end(watch(decoder)) { record in
            died(record)
            options.onDeath(record.death)
        }
    }

    /// Ends the process if it has not ended, tells how, and goes on until it is reaped.
    func end(_ verdict: Verdict, _ tell: (DeathRecord) -> Void) {
        let exit = reapSoon(killing: verdict)
        // Read before our own signal can become the reason.
        let reason = exit ?? ProcessExit.announced(by: pid) ?? .unknown
        if exit == nil { kill(pid, SIGKILL) }
        tell(DeathRecord(death: WorkerDeath(verdict, reason), verdict: verdict))
        if exit == nil { reapEventually() }
    }

    private func watch(_ decoder: FrameDecoder) -> Verdict {
        var decoder = decoder
        var watch = WorkerWatch(interval: options.heartbeatInterval, patience: options.heartbeatDeadline, start: clock.now)
        var delay = RunDelay(of: pid)
        while true {
            do throws(FrameFault) {
                while let frame = try control.receiveAvailable(&decoder) {
                    guard frame.kind == .pong else { return .breach("\(frame.kind) instead of a sign of life") }
                    try ponged(frame.payload)
                    watch.ponged(at: clock.now)
                }
            } catch {
                return Verdict(error)
            }
            if let verdict = pendingVerdict {
                if verdict == .stopped { waitForStop() }
                return verdict
            }
            clock.forget(delay.grown(at: AwakeClock.monotonic))
            let deadlines = pendingDeadlines
            switch watch.look(at: clock.now, deadlines: deadlines) {
            case .wait: break
            case .hung(let channels): return .hung(channels: channels)
            case .ping:
                // A control channel that takes nothing more is found out by the answer that does not come.
                try? tell(.ping)
                flushUnloads()
                buffers.trimUnneeded(now: Int(clamping: AwakeClock.monotonic))
            }
            let now = clock.now
            sleep(nanoseconds: watch.nextLook(after: now, deadlines: deadlines) - now)
        }
    }

    private var pendingDeadlines: [Int: Int64] {
        var deadlines: [Int: Int64] = [:]
        for channel in channels {
            if let deadline = channel.pendingDeadline { deadlines[channel.index] = deadline }
        }
        return deadlines
    }

    /// Until the worker says something, or ends, or somebody wants something of the supervisor, or the time is over.
    private func sleep(nanoseconds: Int64) {
        let before = AwakeClock.monotonic
        // Rounded up: a sleep that ends a little early would find nothing to do and spin.
        let milliseconds = Int32(clamping: nanoseconds / 1_000_000 + 1)
        Self.wait([control.descriptor, waker.descriptor], milliseconds)
        waker.drain()
        let late = AwakeClock.monotonic - before - Int64(milliseconds) * 1_000_000
        if late > Self.absenceNanoseconds { clock.forget(late) }
    }

    static func wait(_ descriptors: [Int32], _ milliseconds: Int32) {
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        poll(&entries, nfds_t(entries.count), milliseconds)
    }

    /// Asks politely and gives the worker time to go.
    private func waitForStop() {
        guard (try? tell(.stop)) != nil else { return }
        let deadline = AwakeClock.monotonic + options.stopGrace.nanoseconds
        var decoder = FrameDecoder()
        while AwakeClock.monotonic < deadline {
            // Heartbeats may still arrive; the end of the connection is what is waited for.
            do throws(FrameFault) {
                while try control.receiveAvailable(&decoder) != nil {}
            } catch {
                return
            }
            Self.wait([control.descriptor], Int32(clamping: (deadline - AwakeClock.monotonic) / 1_000_000 + 1))
        }
    }

    /// Reaps the process if that can be done within 50 ms; nil when it cannot. Kills it first unless it is ending by itself.
    private func reapSoon(killing verdict: Verdict) -> ProcessExit? {
        switch verdict {
        case .gone, .poisoned, .stopped: break
        case .breach, .hung: kill(pid, SIGKILL)
        }
        let deadline = AwakeClock.monotonic + Self.reapNanoseconds
        repeat {
            if let exit = reap() { return exit }
            usleep(200)
        } while AwakeClock.monotonic < deadline
        return nil
    }

    /// Never waits; nil while the process has not ended.
    private func reap() -> ProcessExit? {
        var detail: Int32 = 0
        switch apus_process_reap(pid, &detail) {
        case ApusProcessRunning: return nil
        case ApusProcessExited: return .status(detail)
        case ApusProcessSignalled: return .signal(detail)
        default: return .unknown
        }
    }

    /// A process in an uninterruptible call of a driver may end much later, or never. Nobody waits for this.
    private func reapEventually() {
        var pause: UInt32 = 1_000
        while reap() == nil {
            usleep(pause)
            pause = min(2 * pause, 1_000_000)
        }
    }
}
