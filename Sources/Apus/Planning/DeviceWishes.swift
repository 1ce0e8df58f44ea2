package import ApusDevices
package import ApusErrors
package import ApusExecution
package import ApusTensor

/// What a user asked for about devices, checked as far as it can be without looking at the machine. ``FleetPlanner`` makes a plan of it.
package struct DeviceWishes: Sendable {
    /// Where a wish was written, which decides how strictly it is taken: devices that do not exist are an error on the command line, and in
    /// settings an error only when nothing may stand in for them.
    package enum Origin: Sendable, Equatable {
        /// Nobody asked.
        case preset
        /// The option's spelling, `--devices`.
        case commandLine(String)
        /// File and line or variable, and the key.
        case settings(String)
    }

    package struct List: Sendable {
        package var devices: DeviceList
        package var origin: Origin

        /// Reads a list. Throws what is wrong with it as an error of its origin.
        package init(_ text: String, origin: Origin) throws(ApusError) {
            do throws(ApusError) {
                devices = try DeviceList(text, place: origin.place)
            } catch {
                throw origin.error(error)
            }
            self.origin = origin
        }

        private init() {
            devices = .automatic
            origin = .preset
        }

        /// `auto`, asked for by nobody.
        package static let preset = List()
    }

    /// Which of the accelerators `auto` may take.
    package struct Choice: Sendable {
        /// `gpu.enabled`.
        package var prefersAccelerators = true
        /// Kinds in the order in which they are tried; kinds that are missing are not.
        package var preference: [DeviceID.Kind] = [.cuda, .cpu]
        /// CUDA devices to choose from; empty for all.
        package var cudaDevices: [Int] = []
        package var origin = Origin.preset
        /// Whether several are used at once.
        package var isMultiple = true
        /// Times the CPU's measured speed that an accelerator must reach; nil for no such condition.
        package var performanceThreshold: Double?

        package init() {}
    }

    /// How sessions on the devices are made.
    package struct Sessions: Sendable {
        /// Of accelerators; nil for all they have.
        package var memoryLimitBytes: Int?
        /// Of each CPU device; nil for its part of the host's.
        package var processorLimitBytes: Int?
        package var assignment = ExecutorSettings.Assignment.report
        /// Where TensorRT keeps its engines; nil leaves TensorRT out.
        package var tensorRT: ExecutorSettings.TensorRT?
        package var cudaGraphs = ExecutorSettings.CUDAGraphs.off
        package var tf32 = ExecutorSettings.TF32.allowed
        /// Steps that an accelerator is given at the same time; nil leaves the choice to Apus.
        package var lanes: Int?
        /// Libraries of plugin providers.
        package var plugins: [DeviceID.Kind: String] = [:]

        package init() {}
    }

    /// Models that run on one device only.
    package struct Assignments: Sendable {
        /// The device's number by the model's name.
        package var numbers: [String: Int] = [:]
        package var origin = Origin.preset

        package init() {}
    }

    package var list = List.preset
    package var choice = Choice()
    package var sessions = Sessions()
    package var assignments = Assignments()
    package var recovery = RecoveryPolicy.standard

    package init() {}

    /// Whether accelerators of this machine can be meant, so that it is worth looking for them.
    package var mayMeanGPUs: Bool {
        switch list.devices {
        case .automatic: choice.prefersAccelerators && choice.preference.contains(.cuda)
        case .named(let selectors): selectors.contains { $0.kind == .cuda }
        }
    }
}

extension DeviceWishes.Origin {
    package var place: String {
        switch self {
        case .preset: "devices"
        case .commandLine(let place), .settings(let place): place
        }
    }

    /// `invalid_value` for the command line and `invalid_configuration` for settings, at the place where it was asked for.
    package func error(_ message: String, advice: String? = nil) -> ApusError {
        error(ApusError(.invalidValue, message, advice: advice))
    }

    /// The same error, told as one of this origin.
    func error(_ error: ApusError) -> ApusError {
        if case .commandLine = self {
            return ApusError(.invalidValue, error.message, place: place, advice: error.advice, cause: error.cause)
        }
        return ApusError(.invalidConfiguration, error.message, place: place, advice: error.advice, cause: error.cause)
    }

    /// In front of a line of the log.
    var prefix: String {
        self == .preset ? "" : "\(place): "
    }
}
