package import ApusTensor

/// What this machine and its engine offer to run models on. A CPU is always there.
package struct Inventory: Sendable, Equatable {
    /// An execution provider that is loaded as a library of its own.
    package struct Plugin: Sendable, Equatable {
        package var kind: DeviceID.Kind
        /// By path.
        package var library: String
        /// What the provider found; numbered from 0.
        package var devices: [GPUInfo]

        package init(kind: DeviceID.Kind, library: String, devices: [GPUInfo]) {
            self.kind = kind
            self.library = library
            self.devices = devices
        }
    }

    /// Whether simulated devices may be asked for.
    package enum Simulation: Sendable, Equatable {
        case refused
        case allowed
    }

    package var cpu: CPUTopology
    /// The GPUs that CUDA shows, whether or not the engine can use them.
    package var gpus: [GPUInfo]
    /// Why there are no GPUs, in the monitor's words; nil when it does not say.
    package var gpuAbsence: String?
    /// The engine's names of the providers that come with it, `CUDAExecutionProvider`.
    package var engineProviders: [String]
    package var plugins: [Plugin]
    package var simulation: Simulation

    package init(
        cpu: CPUTopology, gpus: [GPUInfo] = [], gpuAbsence: String? = nil, engineProviders: [String] = ["CPUExecutionProvider"],
        plugins: [Plugin] = [], simulation: Simulation = .refused
    ) {
        self.cpu = cpu
        self.gpus = gpus
        self.gpuAbsence = gpuAbsence
        self.engineProviders = engineProviders
        self.plugins = plugins
        self.simulation = simulation
    }

    /// The accelerators of a kind that models can run on, in the order of their numbers.
    package func accelerators(_ kind: DeviceID.Kind) -> [GPUInfo] {
        let found = kind == .cuda && hasCUDAProvider ? gpus : plugins.first { $0.kind == kind && kind != .cuda }?.devices ?? []
        return found.sorted { $0.device < $1.device }
    }

    /// The accelerators of every kind, in the order of the kinds.
    package var accelerators: [GPUInfo] { DeviceID.Kind.allCases.flatMap { accelerators($0) } }

    /// The library of the provider that runs a kind; nil for providers that come with the engine.
    package func providerLibrary(_ kind: DeviceID.Kind) -> String? {
        let comesWithEngine = kind == .cuda && engineProviders.contains(Self.cudaProvider)
        return comesWithEngine ? nil : plugins.first { $0.kind == kind }?.library
    }

    /// Why models cannot run on a device of `kind`, for the end of a sentence; nil when they can on some.
    package func absence(of kind: DeviceID.Kind) -> String? {
        guard kind.isAccelerator, kind != .sim, accelerators(kind).isEmpty else { return nil }
        switch kind {
        case .cuda where gpus.isEmpty: return gpuAbsence ?? "CUDA shows no GPU"
        case .cuda:
            return "the engine has no \(Self.cudaProvider), only \(engineProviders.joined(separator: ", "))"
        default:
            let plugin = plugins.first { $0.kind == kind }
            return plugin == nil ? "no provider library for it is loaded" : "its provider found no device"
        }
    }

    /// What can be named, for the end of an error: `cpu (2 cores), cuda:0 (NVIDIA H200)`.
    package var summary: String {
        let cores = cpu.available == 1 ? "1 core" : "\(cpu.available) cores"
        return (["cpu (\(cores))"] + accelerators.map { "\($0.device) (\($0.name))" }).joined(separator: ", ")
    }

    private static let cudaProvider = "CUDAExecutionProvider"

    private var hasCUDAProvider: Bool {
        engineProviders.contains(Self.cudaProvider) || plugins.contains { $0.kind == .cuda }
    }
}
