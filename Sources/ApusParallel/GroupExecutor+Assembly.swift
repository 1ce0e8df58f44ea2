package import ApusErrors
package import ApusExecution
import CApusProcess
import Foundation

extension GroupExecutor {
    /// The group that `settings` describe, of executors that `make` makes in this process, each from the settings of its device. `make` is
    /// called on a thread that is kept on the device's cores, which threads that it starts inherit. Blocks.
    ///
    /// Throws what `make` throws, `unsupported_plan` for settings without a group and where CUDA devices are to share layers and NCCL is
    /// missing, and `device_unavailable` for cores that there are not.
    package static func assemble(
        _ settings: ExecutorSettings, options: GroupOptions = GroupOptions(),
        _ make: @escaping @Sendable (ExecutorSettings) throws(ApusError) -> any Executor
    ) throws(ApusError) -> GroupExecutor {
        guard let group = settings.group else {
            throw ApusError(.unsupportedPlan, "the settings of \(settings.device) name no devices of a group", place: "group")
        }
        var members: [[any Executor]] = []
        var collectives: [DeviceCollectives?] = []
        for stage in group.stages {
            collectives.append(try DeviceCollectives.of(stage.map(\.device), stage.map { settings.settings(of: $0).engineIndex }))
        }
        for stage in group.stages {
            var ranks: [any Executor] = []
            for member in stage {
                let own = settings.settings(of: member)
                ranks.append(try onCores(own) { () throws(ApusError) in try make(own) })
            }
            members.append(ranks)
        }
        var options = options
        options.lanes = options.lanes ?? settings.lanes
        return try GroupExecutor(members, device: settings.device, options: options, collectives: collectives)
    }

    private static func onCores(
        _ settings: ExecutorSettings, _ make: @escaping @Sendable () throws(ApusError) -> any Executor
    ) throws(ApusError) -> any Executor {
        let made = Made()
        let thread = Thread {
            made.give(Result { () throws(ApusError) in
                try keep(settings)
                return try make()
            })
        }
        thread.stackSize = LaneThreads.engineStackBytes
        thread.start()
        return try made.wait().get()
    }

    private static func keep(_ settings: ExecutorSettings) throws(ApusError) {
        guard !settings.cores.isEmpty else { return }
        let result = apus_thread_set_cores(settings.cores.map { Int32(clamping: $0) }, Int32(clamping: settings.cores.count))
        guard result == 0 else {
            throw ApusError(
                .deviceUnavailable, "\(settings.device) cannot be kept on the cores \(settings.cores): \(String(cString: strerror(-result)))",
                place: "\(settings.device)")
        }
    }

    private final class Made: @unchecked Sendable {
        // Written once before the semaphore is signalled and read once after it.
        private var result: Result<any Executor, ApusError>?
        private let given = DispatchSemaphore(value: 0)

        func give(_ result: Result<any Executor, ApusError>) {
            self.result = result
            given.signal()
        }

        func wait() -> Result<any Executor, ApusError> {
            given.wait()
            return result ?? .failure(ApusError(.deviceUnavailable, "no executor was made"))
        }
    }
}
