package import ApusErrors
package import ApusExecution
package import ApusTensor
import Foundation

/// Runs models on one device in a process of its own, so that a crash, a hang or a poisoned device ends that process and not this one.
///
/// It lives as long as its process: after that, calls under way throw what ended it, later ones `device_unavailable`, and a new worker
/// is a new executor. Without a last reference the process is ended.
package final class WorkerExecutor: Executor {
    package var device: DeviceID { process.settings.device }
    package var group: GroupShape? { process.settings.group }
    package var laneCount: Int { process.settings.lanes }
    /// The worker's process id.
    package var pid: Int32 { process.pid }
    package let engineVersion: String
    private let process: WorkerProcess
    private let lanes: LaneThreads
    private let loader: LaneThreads

    /// Starts a worker and waits until it can serve. Throws what keeps it from serving (`engine_missing`, `engine_incompatible`, the device's
    /// own failures), `device_unavailable` when it cannot be started and `device_hung` when it says nothing in time.
    package static func spawn(_ settings: ExecutorSettings, options: WorkerOptions) async throws(ApusError) -> WorkerExecutor {
        let launch = WorkerLaunch(settings: settings, options: options)
        let result: Result<(WorkerProcess, WorkerHello), ApusError> = await withCheckedContinuation { continuation in
            let thread = Thread {
                Thread.current.name = "apus-watch-\(settings.device)"
                launch.run { continuation.resume(returning: $0) }
            }
            thread.start()
        }
        let (process, hello) = try result.get()
        return WorkerExecutor(process, hello)
    }

    private init(_ process: WorkerProcess, _ hello: WorkerHello) {
        self.process = process
        engineVersion = hello.engineVersion
        let device = process.settings.device
        lanes = Self.threads(for: Array(process.channels.dropFirst()), name: "apus-\(device.kind.rawValue)\(device.index)")
        loader = Self.threads(for: Array(process.channels.prefix(1)), name: "apus-load")
    }

    /// One thread for each channel. No engine runs on them.
    private static func threads(for channels: [WorkerChannel], name: String) -> LaneThreads {
        LaneThreads(count: channels.count, name: name, stackBytes: 1 << 20) { WorkerChannel.current = channels[$0] }
    }

    deinit {
        process.condemn(.stopped)
    }

    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        try await prepare { [process] () throws(ApusError) in
            let number = process.newModel()
            let outline = try process.ask(.load, LoadOrder(number, request).encoded(), within: process.options.loadDeadline, for: .loaded, ModelOutline.init(reading:))
            return WorkerModel(request.name, number: number, outline, process)
        }
    }

    package func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard !Task.isCancelled else { throw ApusError(.cancelled, "loading was called off") }
        let result = await withCheckedContinuation { continuation in
            loader.submit { continuation.resume(returning: Result { () throws(ApusError) in try work() }) }
        }
        return try result.get()
    }

    package func submit(_ work: @escaping @Sendable () -> Void) {
        lanes.submit(work)
    }

    package func memory() async throws(ApusError) -> DeviceMemory {
        try await prepare { [process] () throws(ApusError) in
            var memory = try process.ask(
                .memory, [], within: process.options.firstStepDeadline, for: .memoryState, DeviceMemory.init(reading:))
            memory.buffers = memory.buffers + process.buffers.use
            return memory
        }
    }

    package func groupState() async throws(ApusError) -> GroupState? {
        guard process.settings.group != nil else { return nil }
        return try await prepare { [process] () throws(ApusError) in
            try process.ask(.group, [], within: process.options.firstStepDeadline, for: .groupState, GroupState.init(reading:))
        }
    }

    package func clearCache() async throws(ApusError) {
        process.buffers.trim()
        try await prepare { [process] () throws(ApusError) in
            try process.ask(.clearCache, within: process.options.firstStepDeadline)
        }
    }

    package func profile(steps: Int, into directory: String) async throws(ApusError) {
        try await prepare { [process] () throws(ApusError) in
            let order = ProfileOrder(steps: steps, directory: directory)
            try process.ask(.profile, order.encoded(), within: process.options.firstStepDeadline)
        }
    }

    /// Asks the worker to end, kills it when it does not, and returns once that is done; waits for no device.
    package func shutdown() async {
        process.condemn(.stopped)
        await process.ended()
    }
}

extension WorkerExecutor {
    /// How the worker ended; nil while it lives.
    package var death: WorkerDeath? { process.deathRecord?.death }

    /// Lanes whose step is under way.
    package var lanesUnderWay: Int { process.channels.dropFirst().count(where: \.isBusy) }

    /// Nanoseconds that each lane has spent waiting for the worker.
    package var busyNanoseconds: [Int64] { process.channels.dropFirst().map(\.busyNanoseconds) }

    /// Steps that each lane of the worker had ended at the last heartbeat.
    package var laneProgress: [UInt64] { process.laneProgress }

    /// Time since the last answered heartbeat.
    package var sinceHeartbeat: Duration { .nanoseconds(process.nanosecondsSinceHeartbeat) }
}
