package import ApusErrors
package import ApusExecution
import ApusGraph
import ApusParallel
import ApusRuntime
import ApusWorkers
import CApusProcess
import Foundation

/// The inside of a worker process.
package enum WorkerHost {
    /// An executor and the version of the engine it runs.
    package struct Hosted: Sendable {
        package let executor: any Executor
        package let engineVersion: String
        /// How each device of a group is made to fail on purpose; empty for one device.
        let faults: [ArmedFaults]

        package init(_ executor: any Executor, engineVersion: String, faults: [ArmedFaults] = []) {
            self.executor = executor
            self.engineVersion = engineVersion
            self.faults = faults
        }

        /// The engine in this process, on one device or on those of a group.
        package static func engine(_ settings: ExecutorSettings) throws(ApusError) -> Hosted {
            InProcessExecutor.ownProcess()
            guard settings.group != nil else {
                let executor = try InProcessExecutor(settings, graphs: CheckpointGraphs())
                return Hosted(executor, engineVersion: executor.engineVersion)
            }
            let devices = settings.group?.devices.flatMap(\.self) ?? []
            let faults = Dictionary(devices.map { ($0, ArmedFaults()) }) { first, _ in first }
            let group = try GroupExecutor.assemble(settings) { own throws(ApusError) in
                let executor = try InProcessExecutor(own, graphs: CheckpointGraphs())
                guard let faults = faults[own.device] else { return executor }
                return FaultyMember(executor, faults)
            }
            let versions = group.members.joined().compactMap { (($0 as? FaultyMember)?.executor as? InProcessExecutor)?.engineVersion }
            return Hosted(group, engineVersion: versions.first ?? "", faults: devices.compactMap { faults[$0] })
        }
    }

    /// Serves the front that started this process, until that is gone or wants it to end. The descriptors are those that
    /// ``ApusWorkers`` hands a worker: 3 is the control channel, then a socket and a region for the loader and for each lane.
    ///
    /// - Parameter open: makes what steps are run on. Called after the process was put on its cores, which all threads inherit.
    package static func run(
        _ open: @escaping @Sendable (ExecutorSettings) throws(ApusError) -> Hosted = Hosted.engine
    ) async -> Never {
        guard apus_socket_is(APUS_FIRST_DESCRIPTOR) != 0 else {
            FileHandle.standardError.write(Data("apus worker: started by `apus serve` for its devices, not by hand\n".utf8))
            exit(2)
        }
        // Not on the caller's thread: where there is one core, it may be the only one of Swift's cooperative pool, which loads need.
        let thread = Thread { serve(open) }
        thread.stackSize = 8 << 20
        thread.start()
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
        ProcessEnd.now(WorkerExit.stopped)
    }

    private static func serve(_ open: (ExecutorSettings) throws(ApusError) -> Hosted) -> Never {
        _ = apus_process_become_worker()
        let control = HostControl(FrameSocket(owning: APUS_FIRST_DESCRIPTOR))
        do throws(ApusError) {
            let contract = try control.contract()
            try putOnCores(contract.settings.allCores)
            let lanes = contract.settings.lanes
            let models = HostedModels()
            var descriptor = APUS_FIRST_DESCRIPTOR
            var channels: [HostChannel] = []
            for _ in 0...lanes {
                let region = try SharedRegion.open(owning: descriptor + 2, limit: contract.regionLimit)
                channels.append(HostChannel(FrameSocket(owning: descriptor + 1), region, models))
                descriptor += 2
            }
            control.serve(models, Array(channels.dropFirst()))
            let hosted = try open(contract.settings)
            models.equip(hosted.faults)
            for lane in 1...lanes { channels[lane].start("lane-\(lane - 1)") }
            control.greet(hosted.engineVersion)
            let loader = HostLoader(hosted.executor, models)
            channels[0].serve(loader.answer)
        } catch {
            control.refuse(error)
        }
    }

    private static func putOnCores(_ cores: [Int]) throws(ApusError) {
        guard !cores.isEmpty else { return }
        let result = apus_process_set_cores(cores.map { Int32(clamping: $0) }, Int32(clamping: cores.count))
        guard result == 0 else {
            throw ApusError(
                .deviceUnavailable, "the worker cannot be kept on the cores \(cores): \(String(cString: strerror(-result)))")
        }
    }
}

extension ExecutorSettings {
    /// Cores of all devices; empty for any, also where one device of a group may use any.
    fileprivate var allCores: [Int] {
        guard let group else { return cores }
        let members = group.stages.flatMap { $0 }
        return members.contains { $0.cores.isEmpty } ? [] : Set(members.flatMap(\.cores)).sorted()
    }
}
