import ApusErrors
import CApusProcess
import Foundation

/// The inside of the monitor's process, the only one that touches NVML: it writes a line for every round of samples, and may hang at any call
/// without harm to anybody but itself.
package enum DeviceMonitorHost {
    /// Writes ``MonitorLine``s to the front until the front goes, which closes the socket.
    package static func run(_ options: MonitorOptions) -> Never {
        let output = options.descriptor ?? 1
        if options.descriptor != nil { _ = apus_process_become_worker() }
        exitWhenOver(options.descriptor ?? 0)
        do throws(ApusError) {
            let session = try NVMLSession.open(libraryPath: options.nvmlLibrary)
            let rounds = MonitorRounds(session, numbering: numbering(session, options))
            let clock = ContinuousClock()
            var next = clock.now
            while true {
                write(.snapshot(rounds.sample(session)), to: output)
                next += .milliseconds(options.intervalMilliseconds)
                // A round that took longer than the interval is followed at once by one, not by all that were missed.
                next = max(next, clock.now)
                Thread.sleep(forTimeInterval: seconds(next - clock.now))
            }
        } catch {
            let isFinal = error.code == .nvmlMissing
            write(isFinal ? .absent(reason: error.description) : .failed(reason: error.description), to: output)
            leave(isFinal ? 0 : 1)
        }
    }

    private static func numbering(_ session: borrowing NVMLSession, _ options: MonitorOptions) -> DeviceNumbering {
        let physical = (0..<session.count).map { place in
            let facts = session.facts(place)
            return DeviceNumbering.Physical(uuid: facts?.uuid ?? "", bus: facts?.bus)
        }
        let answer = CUDAQuestion.ask(library: options.cudaLibrary, patience: Double(options.cudaPatienceMilliseconds) / 1_000)
        switch answer {
        case .success(let enumerated):
            return .matching(enumerated, to: physical)
        case .failure(let error):
            let environment = ProcessInfo.processInfo.environment
            return .byBus(
                physical, why: error.description, visible: VisibleDevices(environment["CUDA_VISIBLE_DEVICES"]),
                order: environment["CUDA_DEVICE_ORDER"])
        }
    }

    private static func exitWhenOver(_ input: Int32) {
        Thread.detachNewThread {
            var bytes = [UInt8](repeating: 0, count: 256)
            while true {
                let count = read(input, &bytes, bytes.count)
                if count == 0 || (count < 0 && errno != EINTR) { leave(0) }
            }
        }
    }

    private static func write(_ line: MonitorLine, to output: Int32) {
        let bytes = line.json + [UInt8(ascii: "\n")]
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Foundation.write(output, UnsafeRawBufferPointer(rebasing: buffer[done...]).baseAddress, buffer.count - done)
            }
            if count > 0 { done += count } else if errno != EINTR { leave(1) }
        }
    }

    /// Without destructors: those of NVML and CUDA can hang.
    private static func leave(_ status: Int32) -> Never {
        _exit(status)
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
