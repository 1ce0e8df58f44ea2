package import ApusErrors

/// How the monitor's process samples. Crosses the process boundary as arguments.
package struct MonitorOptions: Sendable, Equatable {
    /// From one sample to the next, in milliseconds; 10 to 3,600,000.
    package let intervalMilliseconds: Int
    package let nvmlLibrary: String
    package let cudaLibrary: String
    /// How long CUDA's driver library may take to number the devices before they are numbered without it.
    package let cudaPatienceMilliseconds: Int
    /// The socket that lines are written to and whose end ends the process; nil for standard output and input, for a person who tries it.
    package private(set) var descriptor: Int32?

    package static let intervals = 10...3_600_000

    /// Values outside their ranges are clamped.
    package init(
        intervalMilliseconds: Int = 1_000, nvmlLibrary: String = "libnvidia-ml.so.1", cudaLibrary: String = "libcuda.so.1",
        cudaPatienceMilliseconds: Int = 1_500
    ) {
        self.intervalMilliseconds = min(max(intervalMilliseconds, Self.intervals.lowerBound), Self.intervals.upperBound)
        self.nvmlLibrary = nvmlLibrary
        self.cudaLibrary = cudaLibrary
        self.cudaPatienceMilliseconds = max(0, cudaPatienceMilliseconds)
    }

    /// What ``init(arguments:)`` reads.
    package var arguments: [String] {
        [
            "--interval-ms", String(intervalMilliseconds), "--nvml", nvmlLibrary, "--cuda", cudaLibrary,
            "--cuda-patience-ms", String(cudaPatienceMilliseconds),
        ] + (descriptor.map { ["--descriptor", String($0)] } ?? [])
    }

    /// The same for a process that the front starts.
    func spawned(descriptor: Int32) -> MonitorOptions {
        var options = self
        options.descriptor = descriptor
        return options
    }

    /// Throws `invalid_value` for an unknown name, a name without a value and a number that is none.
    package init(arguments: some Collection<String>) throws(ApusError) {
        var values = [
            "--interval-ms": "1000", "--nvml": "libnvidia-ml.so.1", "--cuda": "libcuda.so.1", "--cuda-patience-ms": "1500",
            "--descriptor": Self.standardStreams,
        ]
        var rest = Array(arguments)[...]
        while let name = rest.popFirst() {
            guard values[name] != nil else { throw ApusError(.invalidValue, "the monitor has no such option", place: name) }
            guard let value = rest.popFirst() else { throw ApusError(.invalidValue, "a value is missing", place: name) }
            values[name] = value
        }
        func number(_ name: String) throws(ApusError) -> Int {
            guard let number = Int(values[name] ?? "") else {
                throw ApusError(.invalidValue, "a whole number is wanted, not \"\(values[name] ?? "")\"", place: name)
            }
            return number
        }
        self.init(
            intervalMilliseconds: try number("--interval-ms"), nvmlLibrary: values["--nvml"] ?? "",
            cudaLibrary: values["--cuda"] ?? "", cudaPatienceMilliseconds: try number("--cuda-patience-ms"))
        guard values["--descriptor"] != Self.standardStreams else { return }
        guard let descriptor = Int32(exactly: try number("--descriptor")), descriptor > 2 else {
            throw ApusError(.invalidValue, "the descriptor of an open socket is wanted", place: "--descriptor")
        }
        self.descriptor = descriptor
    }

    private static let standardStreams = "standard"
}
