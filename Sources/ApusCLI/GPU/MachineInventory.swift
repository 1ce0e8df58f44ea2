import Apus
import ApusDevices
import ApusErrors
import ApusService
import ApusTensor
import Foundation

/// What this machine has to compute on, found without loading a model or an engine into this process.
struct MachineInventory {
    let cpu: CPUTopology
    let search: GPUSearch.Finding
    /// What the engine offers, or why it cannot be asked.
    let engine: Result<EngineOffer, ApusError>

    /// Throws what keeps this program from starting processes.
    static func look(_ installation: Installation, plugins: [DeviceID.Kind: String] = [:]) async throws(ApusError) -> MachineInventory {
        let executable = try executable()
        let search = GPUSearch(executable: executable, environment: ProcessInfo.processInfo.environment)
        async let finding = search.run()
        let engine: Result<EngineOffer, ApusError>
        do throws(ApusError) {
            engine = .success(
                try await EngineOffer.ask(executable: executable, engineLibrary: try installation.engineLibrary(), plugins: plugins))
        } catch {
            engine = .failure(error)
        }
        return MachineInventory(cpu: .current, search: await finding, engine: engine)
    }

    /// What processes are started from: this very program.
    static func executable() throws(ApusError) -> String {
        guard let path = Installation.runningExecutable else {
            throw ApusError(.fileUnreadable, "the path of this program is not known, so that no process can be started from it")
        }
        return path
    }

    /// The driver's version and the newest CUDA version that it runs.
    var driver: (version: String?, cuda: String?) {
        (search.gpus.lazy.compactMap(\.driverVersion).first, search.gpus.lazy.compactMap(\.cudaVersion).first)
    }

    /// Why no GPU can be seen; nil when one can.
    var absence: String? {
        search.gpus.isEmpty ? search.absence ?? "the driver shows no GPU" : nil
    }
}

extension GPUInfo {
    /// Judged by its one sample.
    var health: DeviceDescription.Health {
        var judge = HealthJudge()
        return DeviceDescription.Health(sample.map { judge.verdict($0, now: 0) } ?? judge.verdict())
    }
}

extension CPUTopology {
    /// `AMD EPYC 9B45, 2 logical cores (0, 1), 1 physical, 2 compute at once`.
    var sentence: String {
        var text = "\(modelName ?? "CPU"), \(cores.count) logical core\(cores.count == 1 ? "" : "s") (\(Self.ranges(coreNumbers)))"
        text += ", \(physicalCoreCount) physical"
        if let quota { text += ", limited to \(Figures.number(quota)) by the container" }
        return text + ", \(available) compute\(available == 1 ? "s" : "") at once"
    }

    /// `0-3, 8`.
    static func ranges(_ numbers: [Int]) -> String {
        var runs: [ClosedRange<Int>] = []
        for number in numbers.sorted() {
            if let last = runs.last, last.upperBound + 1 == number {
                runs[runs.count - 1] = last.lowerBound...number
            } else {
                runs.append(number...number)
            }
        }
        return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ")
    }
}
