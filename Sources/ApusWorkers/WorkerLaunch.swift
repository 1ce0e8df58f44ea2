package import ApusErrors
import ApusExecution
import CApusProcess
import Foundation

/// Starts a worker's process and brings it to its hello, on the thread that will supervise it.
struct WorkerLaunch: Sendable {
    let settings: ExecutorSettings
    let options: WorkerOptions

    private enum Failure: Error {
        /// The worker says that it cannot serve.
        case refused(ApusError)
        case given(up: Verdict)
    }

    /// Hands the process out once it can serve, and supervises it until it has ended. What is handed out is the worker's own error when it cannot
    /// serve, `device_hung` when it does not answer in time, and how it ended otherwise.
    func run(_ handOut: (Result<(WorkerProcess, WorkerHello), ApusError>) -> Void) {
        let process: WorkerProcess
        do throws(ApusError) {
            process = try start()
        } catch {
            return handOut(.failure(error))
        }
        do throws(Failure) {
            let (hello, decoder) = try greet(process)
            handOut(.success((process, hello)))
            process.supervise(decoder)
        } catch {
            switch error {
            case .refused(let error): process.end(.stopped) { _ in handOut(.failure(error)) }
            case .given(let verdict):
                process.end(verdict) { record in handOut(.failure(process.error(record.death.failure, record.death))) }
            }
        }
    }

    private func start() throws(ApusError) -> WorkerProcess {
        let clock = AwakeClock()
        let waker = try connected { () throws(FrameFault) in try Waker() }
        let (control, farControl) = try connected(FrameSocket.pair)
        var channels: [WorkerChannel] = []
        var far = [farControl]
        var inherited = [farControl.descriptor]
        for index in 0...settings.lanes {
            let (near, farEnd) = try connected(FrameSocket.pair)
            let region = try sharedRegion()
            inherited += [farEnd.descriptor, region.descriptor]
            far.append(farEnd)
            channels.append(WorkerChannel(index: index, socket: near, region: region, clock: clock))
        }
        let pid = try spawn(inherited)
        // Until here the far ends had to be open; from here on only the worker may hold them, or its end would not be noticed.
        withExtendedLifetime(far) {}
        return WorkerProcess(settings, options, pid: pid, control: control, channels: channels, clock: clock, waker: waker)
    }

    private func sharedRegion() throws(ApusError) -> SharedRegion {
        do throws(ApusError) {
            return try SharedRegion.create(limit: options.regionLimit)
        } catch {
            // The system's memory or its files, where a step's `out_of_memory` would be the device's.
            throw ApusError(.resourcesExhausted, error.message, place: "\(settings.device)", advice: "Raise the limit of open files")
        }
    }

    private func connected<Value>(_ make: () throws(FrameFault) -> Value) throws(ApusError) -> Value {
        do throws(FrameFault) {
            return try make()
        } catch {
            var code = ApusError.Code.deviceUnavailable
            if case .system(let number) = error { code = ApusError.Code(startError: number) }
            throw ApusError(
                code, "no connection to a worker can be made: \(error)", place: "\(settings.device)", advice: "Raise the limit of open files")
        }
    }

    private func spawn(_ descriptors: [Int32]) throws(ApusError) -> Int32 {
        // A crash is to be noticed at once, not after the backtrace of a process that nobody debugs.
        let environment = ProcessInfo.processInfo.environment
            .merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
            .merging(options.environment) { $1 }
        let result = Self.withCStrings([options.executable] + options.arguments) { arguments in
            Self.withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                apus_process_spawn(options.executable, arguments, variables, descriptors, Int32(clamping: descriptors.count))
            }
        }
        guard result > 0 else {
            throw ApusError(
                ApusError.Code(startError: -result),
                "the worker of \(settings.device) cannot be started: \(String(cString: strerror(-result)))", place: options.executable)
        }
        return result
    }

    /// Sends the contract and waits for the answer.
    private func greet(_ process: WorkerProcess) throws(Failure) -> (WorkerHello, FrameDecoder) {
        let deadline = AwakeClock.monotonic + options.spawnDeadline.nanoseconds
        let contract = WorkerContract(settings: settings, regionLimit: options.regionLimit)
        var decoder = FrameDecoder()
        var answer: Frame?
        do throws(FrameFault) {
            try process.control.send(Frame(.configure, sequence: 0) { contract.write(to: &$0) }, waiting: .not)
            answer = try process.control.receiveAvailable(&decoder)
            while answer == nil, AwakeClock.monotonic < deadline {
                WorkerProcess.wait([process.control.descriptor], Int32(clamping: (deadline - AwakeClock.monotonic) / 1_000_000 + 1))
                answer = try process.control.receiveAvailable(&decoder)
            }
        } catch {
            throw .given(up: Verdict(error))
        }
        guard let answer else { throw .given(up: .hung(channels: [])) }
        return (try hello(answer, process.pid), decoder)
    }

    private func hello(_ frame: Frame, _ pid: Int32) throws(Failure) -> WorkerHello {
        let answer: Result<WorkerHello, ApusError>
        do throws(FrameFault) {
            switch frame.kind {
            case .failure: answer = .failure(try frame.json(ApusError.init(reading:)))
            case .hello: answer = .success(try frame.json(WorkerHello.init(reading:)))
            default: throw .malformed("\(frame.kind) instead of a hello")
            }
        } catch {
            throw .given(up: Verdict(error))
        }
        let hello: WorkerHello
        do throws(ApusError) {
            hello = try answer.get()
        } catch {
            throw .refused(error)
        }
        guard hello.pid == pid else { throw .given(up: .breach("the process id \(hello.pid)")) }
        return hello
    }

    private static func withCStrings<Value>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Value) -> Value {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}

extension ApusError.Code {
    /// What an `errno` met while a worker was being started says: whether the system has run out of something, or more than that is wrong.
    package init(startError number: Int32) {
        self = [EMFILE, ENFILE, EAGAIN, ENOMEM, ENOBUFS, ENOSPC].contains(number) ? .resourcesExhausted : .deviceUnavailable
    }
}
