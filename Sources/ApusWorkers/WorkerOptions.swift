package import ApusExecution

/// How a worker is started and watched.
package struct WorkerOptions: Sendable {
    /// The program, by path.
    package var executable: String
    package var arguments: [String]
    /// Added to the environment of this process.
    package var environment: [String: String]
    /// From the start of the process to its hello, in which it loads the engine and opens the device. A worker of a CPU device takes 0.1 to
    /// 0.3 s for it on two cores; drivers of GPUs that nobody keeps awake take seconds.
    package var spawnDeadline: Duration
    package var heartbeatInterval: Duration
    /// The longest a heartbeat may go unanswered.
    package var heartbeatDeadline: Duration
    /// For a load: large checkpoints are read, packed and copied to the device.
    package var loadDeadline: Duration
    /// For steps of a model that has not run yet.
    package var firstStepDeadline: Duration
    /// Between asking a worker to stop and killing it.
    package var stopGrace: Duration
    /// The most bytes of tensors that a step may send or bring back.
    package var regionLimit: Int
    /// For each device of a group, counted through its stages; one for an executor of one device. Empty for none.
    package var faults: [(any FaultInjector)?]
    /// Called once when the worker has ended, from a thread that must not be blocked. Not called when ``WorkerExecutor/spawn(_:options:)``
    /// throws. It must not hold the executor, which would then never be without references.
    package var onDeath: @Sendable (WorkerDeath) -> Void

    package init(
        executable: String, arguments: [String] = ["worker"], environment: [String: String] = [:],
        spawnDeadline: Duration = .seconds(10), heartbeatInterval: Duration = .milliseconds(500),
        heartbeatDeadline: Duration = .seconds(2), loadDeadline: Duration = .seconds(600),
        firstStepDeadline: Duration = .seconds(30), stopGrace: Duration = .milliseconds(250), regionLimit: Int = 1 << 30,
        faults: [(any FaultInjector)?] = [], onDeath: @escaping @Sendable (WorkerDeath) -> Void = { _ in }
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.spawnDeadline = spawnDeadline
        self.heartbeatInterval = heartbeatInterval
        self.heartbeatDeadline = heartbeatDeadline
        self.loadDeadline = loadDeadline
        self.firstStepDeadline = firstStepDeadline
        self.stopGrace = stopGrace
        self.regionLimit = regionLimit
        self.faults = faults
        self.onDeath = onDeath
    }
}
