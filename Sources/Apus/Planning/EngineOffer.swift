package import ApusDevices
package import ApusErrors
import ApusORT
package import ApusTensor
import Foundation

/// What the engine of an installation can run on. A front that has workers never loads the engine, and asks a process of its own.
package struct EngineOffer: Sendable, Equatable {
    /// A device of a plugin provider.
    package struct Device: Sendable, Equatable {
        /// The engine's name, `OpenVINOExecutionProvider`.
        package var provider: String
        package var name: String

        package init(provider: String, name: String) {
            self.provider = provider
            self.name = name
        }
    }

    package struct Refusal: Sendable, Equatable {
        /// The provider's name.
        package var provider: String
        package var library: String
        package var reason: String

        package init(provider: String, library: String, reason: String) {
            self.provider = provider
            self.library = library
            self.reason = reason
        }
    }

    /// `1.31.1`.
    package var version: String
    /// Compiled in, most capable first.
    package var providers: [String]
    package var devices: [Device]
    /// Plugin libraries that could not be used.
    package var refused: [Refusal]

    package init(version: String, providers: [String] = [], devices: [Device] = [], refused: [Refusal] = []) {
        self.version = version
        self.providers = providers
        self.devices = devices
        self.refused = refused
    }

    /// Loads the engine and the plugin libraries into this process. Blocks. Throws `engine_missing` and `engine_incompatible`.
    ///
    /// - Parameter plugins: the libraries of plugin providers, by the kind of their devices.
    package init(engineLibrary: String, plugins: [DeviceID.Kind: String]) throws(ApusError) {
        let engine = try Engine.open(libraryPath: engineLibrary)
        var libraries: [ProviderName: String] = [:]
        for (kind, path) in plugins {
            if let provider = kind.provider { libraries[provider] = URL(fileURLWithPath: path).standardizedFileURL.path }
        }
        let offered = try engine.offeredDevices(plugins: libraries)
        version = engine.version
        providers = offered.providers
        devices = offered.devices.map { Device(provider: $0.provider, name: "\($0.hardwareVendor) \($0.hardware.rawValue)") }
        refused = offered.refused.map {
            Refusal(provider: $0.provider.rawValue, library: $0.error.place ?? "", reason: $0.error.message)
        }
    }

    /// As the process started by ``ask(executable:engineLibrary:plugins:)`` takes it: the engine's library, then `KIND=LIBRARY` for each plugin.
    package init(arguments: [String]) throws(ApusError) {
        var plugins: [DeviceID.Kind: String] = [:]
        for argument in arguments.dropFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let kind = DeviceID.Kind(rawValue: String(parts[0])) else {
                throw ApusError(.invalidValue, "KIND=LIBRARY is wanted", place: argument)
            }
            plugins[kind] = String(parts[1])
        }
        try self.init(engineLibrary: arguments.first ?? "", plugins: plugins)
    }

    /// Asks a process started from `executable` as `worker --offers`. Throws what that process throws, and `engine_failure` when it ends
    /// or falls silent without an answer.
    package static func ask(executable: String, engineLibrary: String, plugins: [DeviceID.Kind: String]) async throws(ApusError) -> EngineOffer {
        let bytes = try await BlockingWork.run { () throws(ApusError) in
            try output(of: executable, ["worker", "--offers", engineLibrary] + plugins.map { "\($0.key.rawValue)=\($0.value)" })
        }
        let answer: Answer
        do throws(ApusError) {
            answer = try Answer(bytes)
        } catch {
            throw ApusError(
                .engineFailure, "the engine did not tell what it offers: the process that asked it ended without an answer",
                place: engineLibrary, cause: error)
        }
        switch answer {
        case .offer(let offer): return offer
        case .failure(let error): throw error
        }
    }

    private static func output(of executable: String, _ arguments: [String]) throws(ApusError) -> [UInt8] {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        do {
            try process.run()
        } catch {
            throw ApusError(.engineFailure, "no process could be started to ask the engine", place: executable, cause: error)
        }
        // A provider library may hang while it looks for its devices.
        let deadline = DispatchWorkItem { kill(process.processIdentifier, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + patience, execute: deadline)
        let data = (try? pipe.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        deadline.cancel()
        return Array(data)
    }

    private static let patience = 60.0

    /// One line between the two processes.
    package enum Answer: Sendable {
        case offer(EngineOffer)
        case failure(ApusError)
    }
}

extension EngineOffer {
    /// Everything that a plan can be made of. The engine is asked only where it could offer more than the CPU.
    ///
    /// - Parameter plugins: libraries of plugin providers, from the settings. Throws `invalid_configuration` for one that is none, and
    ///   what reading the engine throws.
    package static func inventory(
        _ finding: GPUSearch.Finding, topology: CPUTopology, engineLibrary: String, plugins: [DeviceID.Kind: String], execution: Execution
    ) async throws(ApusError) -> Inventory {
        var inventory = Inventory(cpu: topology, gpus: finding.gpus, gpuAbsence: finding.absence, simulation: .allowed)
        guard !finding.gpus.isEmpty || !plugins.isEmpty else { return inventory }
        let offer: EngineOffer
        switch execution {
        case .inProcess:
            offer = try await BlockingWork.run { () throws(ApusError) in
                try EngineOffer(engineLibrary: engineLibrary, plugins: plugins)
            }
        case .workers(let executable):
            offer = try await ask(executable: executable, engineLibrary: engineLibrary, plugins: plugins)
        }
        inventory.engineProviders = offer.providers
        for (kind, library) in plugins.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            if let refusal = offer.refused.first(where: { $0.provider == kind.provider?.rawValue }) {
                throw ApusError(
                    .invalidConfiguration, "\(library) cannot be used: \(refusal.reason)", place: "devices.plugins.\(kind.rawValue)",
                    advice: kind.provider?.advice)
            }
            let devices = offer.devices.filter { $0.provider == kind.provider?.rawValue }.enumerated().map { index, device in
                GPUInfo(device: DeviceID(kind, index), name: device.name)
            }
            inventory.plugins.append(Inventory.Plugin(kind: kind, library: URL(fileURLWithPath: library).standardizedFileURL.path, devices: devices))
        }
        return inventory
    }
}

extension DeviceID.Kind {
    /// Who runs it when it has a library of its own.
    fileprivate var provider: ProviderName? {
        switch self {
        case .openvino: .openVINO
        case .webgpu: .webGPU
        case .tensorrtrtx: .tensorRTForRTX
        case .cpu, .cuda, .sim: nil
        }
    }
}
