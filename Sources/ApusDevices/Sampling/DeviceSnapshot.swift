package import ApusTensor

/// All accelerators of this machine that CUDA shows this process, at one moment.
package struct DeviceSnapshot: Sendable, Equatable {
    /// A GPU that the driver counts and that does not say who it is.
    package struct SilentGPU: Sendable, Equatable {
        package var nvmlIndex: Int
        package var answer: DeviceSample.Answer

        package init(nvmlIndex: Int, answer: DeviceSample.Answer) {
            self.nvmlIndex = nvmlIndex
            self.answer = answer
        }
    }

    /// In the order of their numbers, each with its sample.
    package var devices: [GPUInfo]
    package var links: [DeviceLink]
    package var silent: [SilentGPU]
    package var driverVersion: String?
    /// The newest CUDA version that the driver runs, `13.0`.
    package var cudaVersion: String?
    package var numbering: DeviceNumbering.Source
    /// What a person should know about which devices are there and how they are numbered.
    package var notes: [String]

    package init(
        devices: [GPUInfo] = [], links: [DeviceLink] = [], silent: [SilentGPU] = [], driverVersion: String? = nil,
        cudaVersion: String? = nil, numbering: DeviceNumbering.Source = .driver, notes: [String] = []
    ) {
        self.devices = devices
        self.links = links
        self.silent = silent
        self.driverVersion = driverVersion
        self.cudaVersion = cudaVersion
        self.numbering = numbering
        self.notes = notes
    }

    package subscript(device: DeviceID) -> GPUInfo? { devices.first { $0.device == device } }
}
