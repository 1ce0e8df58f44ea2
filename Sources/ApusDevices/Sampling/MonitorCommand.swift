/// The program that runs ``DeviceMonitorHost``, and how often and how patiently it is listened to.
package struct MonitorCommand: Sendable, Equatable {
    package let executable: String
    /// What stands in front of the options' own arguments: `["worker", "--monitor"]`.
    package let arguments: [String]
    package let options: MonitorOptions
    /// How long the first line of a process may take. NVML's start takes seconds on a machine with many GPUs and no persistence daemon.
    package let startDeadline: Duration
    /// How long a line may take after the one before.
    package let lineDeadline: Duration
    /// How long to wait before the first, second, … restart; the last one repeats. Ten lines in a row start it over.
    package let backoff: [Duration]

    /// - Parameter lineDeadline: nil for the interval and two seconds.
    package init(
        executable: String, arguments: [String] = ["worker", "--monitor"], options: MonitorOptions = MonitorOptions(),
        startDeadline: Duration = .seconds(30), lineDeadline: Duration? = nil,
        backoff: [Duration] = [.zero, .seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16), .seconds(30)]
    ) {
        self.executable = executable
        self.arguments = arguments
        self.options = options
        self.startDeadline = startDeadline
        self.lineDeadline = lineDeadline ?? .milliseconds(options.intervalMilliseconds) + .seconds(2)
        self.backoff = backoff.isEmpty ? [.seconds(1)] : backoff
    }
}
