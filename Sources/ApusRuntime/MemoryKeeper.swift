import ApusExecution
import ApusORT
import Dispatch

/// Gives the memory that an executor's models hold unused back to the system, after bursts. Nothing runs here while there is nothing to
/// give back.
///
/// A queue of Dispatch's and not a lane or a task: looks are rare, and wait for sessions that compute.
final class MemoryKeeper: Sendable {
    private let watched = Guarded(Watched())
    private let queue = DispatchQueue(label: "apus-memory", qos: .utility)
    private let buffers: SharedBuffers
    private let models: @Sendable () -> [SessionModel]

    private struct Watched {
        var trim = MemoryTrim()
        /// Whether a look is to come.
        var isLookDue = false
    }

    /// - Parameters:
    ///   - buffers: those of the executor.
    ///   - models: those that are held; none once the executor was shut down.
    init(_ buffers: SharedBuffers, _ models: @escaping @Sendable () -> [SessionModel]) {
        self.buffers = buffers
        self.models = models
    }

    /// - Parameter bytes: of the step's tensors.
    func stepEnded(bytes: Int) {
        let now = Self.now
        let isFirst = watched.withLock { watched in
            watched.trim.stepEnded(bytes: bytes, now: now)
            defer { watched.isLookDue = true }
            return !watched.isLookDue
        }
        guard isFirst else { return }
        // Dispatch may have to start a thread.
        var place = ThreadPlace()
        place.leave {}
        look(at: now + MemoryTrim.idleNanoseconds)
        place.comeBack()
    }

    private func look(at time: Int) {
        queue.asyncAfter(deadline: .now() + .nanoseconds(max(0, time - Self.now))) { [weak self] in self?.look() }
    }

    private func look() {
        let models = models()
        var unused = buffers.use.heldBytes
        for model in models {
            guard let held = try? model.statistics() else { continue }
            unused += max(0, held.reserved - held.inUse)
        }
        let decision = watched.withLock { watched in
            let decision = watched.trim.look(unused: unused, now: Self.now)
            switch decision {
            case .rest, .release(then: nil): watched.isLookDue = false
            case .wait, .release: break
            }
            return decision
        }
        switch decision {
        case .rest:
            buffers.trim()
        case .wait(let next):
            buffers.trimUnneeded(now: Self.now)
            look(at: next)
        case .release(let next):
            buffers.trim()
            // What cannot be given back stays where it is, and the steps that hold it fail by themselves if the device does.
            for model in models { try? model.releaseUnusedMemory() }
            Engine.returnFreedPages()
            if let next { look(at: next) }
        }
    }

    private static var now: Int { Int(clamping: DispatchTime.now().uptimeNanoseconds) }
}
