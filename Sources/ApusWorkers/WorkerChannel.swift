import ApusErrors
import ApusExecution
import ApusTensor
import Foundation
import Synchronization

/// The front's end of one of a worker's channels: one call at a time, with the tensors in a region of shared memory.
///
/// Channel 0 is the loader's, channel i the one of lane i - 1.
final class WorkerChannel: @unchecked Sendable {
    // `region`, `decoder` and `sequence` are guarded by `lock`.

    /// Why a call brought no answer.
    enum Failure: Error {
        /// The worker, or this side, says no. The channel goes on.
        case refused(ApusError)
        case broken(FrameFault)
    }

    let index: Int
    let socket: FrameSocket
    private let clock: AwakeClock
    private let lock = NSLock()
    private var region: SharedRegion
    private var decoder = FrameDecoder()
    private var sequence: UInt64 = 0
    /// When the call under way counts as hung; 0 when there is none.
    private let deadline = Atomic<Int64>(0)
    private let busy = Atomic<Int64>(0)

    init(index: Int, socket: FrameSocket, region: consuming SharedRegion, clock: AwakeClock) {
        self.index = index
        self.socket = socket
        self.region = region
        self.clock = clock
    }

    /// Whether a call is under way.
    var isBusy: Bool { deadline.load(ordering: .relaxed) != 0 }

    /// Nanoseconds spent waiting for the worker.
    var busyNanoseconds: Int64 { busy.load(ordering: .relaxed) }

    /// The deadline of a call whose answer has not arrived; nil when there is none.
    var pendingDeadline: Int64? {
        let time = deadline.load(ordering: .acquiring)
        guard time != 0 else { return nil }
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        // An answer that lies there waits for this process and not for the worker.
        return poll(&entry, 1, 0) > 0 ? nil : time
    }

    /// Sends a request without tensors and waits for its answer.
    func call(_ kind: Frame.Kind, payload: [UInt8], within budget: Int64) throws(Failure) -> Frame {
        lock.lock()
        defer { lock.unlock() }
        return try exchange(kind, payload, budget)
    }

    /// Runs a step: copies the tensors over, waits, copies the output back into storage of `buffers`; it must be of `type`.
    func step(
        _ request: StepRequest, _ tensors: [HostTensor], returning type: ElementType, into buffers: SharedBuffers, within budget: Int64
    ) throws(Failure) -> HostTensor {
        lock.lock()
        defer { lock.unlock() }
        var request = request
        do throws(ApusError) {
            let placements = try region.place(tensors)
            request.inputs = placements.enumerated().map { StepRequest.Input(index: $0.offset, tensor: $0.element) }
        } catch {
            throw .refused(error)
        }
        let payload: [UInt8]
        do throws(FrameFault) {
            payload = try request.encoded()
        } catch {
            throw .refused(ApusError(.engineFailure, "this step cannot be sent to a worker: \(error)"))
        }
        let answer = try exchange(.step, payload, budget)
        let output = try read(answer, type, buffers)
        if request.memory == .released { region.release() }
        return output
    }

    private func exchange(_ kind: Frame.Kind, _ payload: [UInt8], _ budget: Int64) throws(Failure) -> Frame {
        sequence += 1
        let start = AwakeClock.monotonic
        deadline.store(clock.now + budget, ordering: .releasing)
        defer {
            deadline.store(0, ordering: .releasing)
            busy.add(AwakeClock.monotonic - start, ordering: .relaxed)
        }
        let answer: Frame
        let refusal: ApusError?
        do throws(FrameFault) {
            try socket.send(Frame(kind, sequence: sequence, payload: payload))
            answer = try socket.receive(&decoder)
            guard answer.sequence == sequence else { throw .malformed("an answer to another request") }
            refusal = answer.kind == .failure ? try answer.json(ApusError.init(reading:)) : nil
        } catch {
            throw .broken(error)
        }
        if let refusal { throw .refused(refusal) }
        return answer
    }

    private func read(_ answer: Frame, _ type: ElementType, _ buffers: SharedBuffers) throws(Failure) -> HostTensor {
        let placement: TensorPlacement
        do throws(FrameFault) {
            placement = try answer.placement()
        } catch {
            throw .broken(error)
        }
        let reached: Bool
        do throws(ApusError) {
            reached = try region.reaches(placement.end)
        } catch {
            throw .refused(error)
        }
        guard reached, placement.elementType == type, let tensor = region.read(placement, into: buffers) else {
            throw .broken(.malformed("a \(placement.elementType) tensor of \(placement.byteCount) bytes at \(placement.offset)"))
        }
        return tensor
    }
}

extension WorkerChannel {
    private static let threadKey: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    /// The channel of the calling thread. Whoever sets it keeps the channel alive as long as the thread runs.
    static var current: WorkerChannel? {
        get { pthread_getspecific(threadKey).map { Unmanaged<WorkerChannel>.fromOpaque($0).takeUnretainedValue() } }
        set { pthread_setspecific(threadKey, newValue.map { UnsafeRawPointer(Unmanaged.passUnretained($0).toOpaque()) }) }
    }
}
