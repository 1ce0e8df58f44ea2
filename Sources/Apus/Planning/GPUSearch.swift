package import ApusDevices
import ApusErrors
import Foundation

/// Looks for CUDA devices at start, in a process of its own since the driver may hang.
package struct GPUSearch: Sendable {
    package struct Finding: Sendable {
        package var gpus: [GPUInfo] = []
        package var links: [DeviceLink] = []
        /// Why there are none, as far as it is known.
        package var absence: String?
        /// What a person should know about how they are numbered, and which are hidden.
        package var notes: [String] = []

        package init(absence: String? = nil) {
            self.absence = absence
        }
    }

    /// What the monitor's process is started from.
    let executable: String
    let environment: [String: String]
    /// What stands before `/dev`, `/proc` and `/sys`.
    let root: String

    package init(executable: String, environment: [String: String], root: String = "") {
        self.executable = executable
        self.environment = environment
        self.root = root
    }

    /// How devices are sampled; `APUS_NVML` and `APUS_CUDA` name other libraries than the system's.
    package func monitor(every interval: Duration = .seconds(1)) -> MonitorCommand {
        let (seconds, attoseconds) = interval.components
        let milliseconds = Int(clamping: seconds) * 1_000 + Int(attoseconds / 1_000_000_000_000_000)
        let standard = MonitorOptions()
        return MonitorCommand(
            executable: executable,
            options: MonitorOptions(
                intervalMilliseconds: milliseconds, nvmlLibrary: environment["APUS_NVML"] ?? standard.nvmlLibrary,
                cudaLibrary: environment["APUS_CUDA"] ?? standard.cudaLibrary))
    }

    /// What there is. A search that fails is told as absence: whoever needs a GPU is refused with the reason.
    package func run() async -> Finding {
        guard mayHaveDriver else { return Finding(absence: "this machine has no NVIDIA driver") }
        do throws(ApusError) {
            switch try await DeviceDiscovery.discover(monitor(), within: .seconds(30)) {
            case .none(let reason): return Finding(absence: reason)
            case .found(let snapshot):
                var finding = Finding()
                finding.gpus = snapshot.devices
                finding.links = snapshot.links
                finding.notes = snapshot.notes
                if snapshot.devices.isEmpty { finding.absence = snapshot.notes.first ?? "the driver shows no GPU" }
                return finding
            }
        } catch {
            var finding = Finding(absence: error.message)
            finding.notes = [error.description]
            return finding
        }
    }

    /// Whether there is any sign of an NVIDIA GPU or its driver. Without one no process is started, which would cost every start on a machine
    /// without a GPU a tenth of its time. Device files alone are no sure sign: the driver's tools make them at the first use.
    package var mayHaveDriver: Bool {
        if environment["APUS_NVML"] != nil { return true }
        let files = ["/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/nvhost-ctrl", "/proc/driver/nvidia", "/sys/module/nvidia"]
        if files.contains(where: { FileManager.default.fileExists(atPath: root + $0) }) { return true }
        let bus = root + "/sys/bus/pci/devices"
        return ((try? FileManager.default.contentsOfDirectory(atPath: bus)) ?? []).contains { device in
            FileManager.default.contents(atPath: "\(bus)/\(device)/vendor").map { $0.starts(with: Self.vendor) } ?? false
        }
    }

    /// NVIDIA's number, as the kernel writes it.
    private static let vendor = Array("0x10de".utf8)
}
