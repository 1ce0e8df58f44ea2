import ApusErrors
import ApusWorkers
import Foundation

/// The worker's end of the control channel.
final class HostControl: @unchecked Sendable {
    // `decoder` belongs to the thread that receives: the main thread until `serve`, then the control thread. Sending is guarded by `lock`.
    private let socket: FrameSocket
    private let lock = NSLock()
    private var decoder = FrameDecoder()

    init(_ socket: FrameSocket) {
        self.socket = socket
    }

    /// Waits for what the front wants. Throws `engine_incompatible` for a front of another version.
    func contract() throws(ApusError) -> WorkerContract {
        let contract: Result<WorkerContract, ApusError>
        do throws(FrameFault) {
            let frame = try socket.receive(&decoder)
            guard frame.kind == .configure else { throw .malformed("\(frame.kind) as the first frame") }
            contract = Result { () throws(ApusError) in try frame.document(WorkerContract.init(reading:)) }
        } catch {
            ProcessEnd.after(error)
        }
        return try contract.get()
    }

    /// Answers heartbeats from a thread of its own, which ends the process as soon as the front is gone, whatever the lanes are doing.
    func serve(_ models: HostedModels, _ lanes: [HostChannel]) {
        let disposal = ModelDisposal()
        let thread = Thread { [self] in
            Thread.current.name = "control"
            do throws(FrameFault) {
                while true { try answer(try socket.receive(&decoder), models, lanes, disposal) }
            } catch {
                ProcessEnd.after(error)
            }
        }
        thread.start()
    }

    private func answer(
        _ frame: Frame, _ models: HostedModels, _ lanes: [HostChannel], _ disposal: ModelDisposal
    ) throws(FrameFault) {
        switch frame.kind {
        case .ping:
            var payload: [UInt8] = []
            for lane in lanes { payload.append(littleEndian: lane.endedSteps) }
            try send(Frame(.pong, sequence: frame.sequence, payload: payload))
        case .unload:
            var reader = PayloadReader(frame.payload)
            let number = try reader.integer(UInt32.self)
            try reader.end()
            if let model = models.remove(number) { disposal.dispose(model) }
        case .stop:
            ProcessEnd.now(WorkerExit.stopped)
        default:
            throw .malformed("\(frame.kind) on the control channel")
        }
    }

    func greet(_ engineVersion: String) {
        let hello = WorkerHello(pid: getpid(), engineVersion: engineVersion)
        do throws(FrameFault) {
            try send(Frame(.hello, sequence: 0) { hello.write(to: &$0) })
        } catch {
            ProcessEnd.after(error)
        }
    }

    /// Tells why this worker cannot serve, and ends it.
    func refuse(_ error: ApusError) -> Never {
        // A front that is gone hears nothing; the process ends either way.
        try? send(Frame(.failure, sequence: 0) { error.write(to: &$0) })
        ProcessEnd.now(WorkerExit.unusable)
    }

    private func send(_ frame: Frame) throws(FrameFault) {
        let result = lock.withLock {
            Result { () throws(FrameFault) in try socket.send(frame) }
        }
        try result.get()
    }
}
