package import ApusTensor

/// One device as it was found (DEV-2): what it is and, for accelerators, its latest sample.
package struct GPUInfo: Sendable, Equatable {
    package struct ComputeCapability: Sendable, Equatable, CustomStringConvertible {
        package var major: Int
        package var minor: Int

        package init(_ major: Int, _ minor: Int) {
            self.major = major
            self.minor = minor
        }

        package var description: String { "\(major).\(minor)" }
    }

    /// Numbered as CUDA numbers the devices that this process may see.
    package var device: DeviceID
    package var name: String
    /// `GPU-…`; empty for devices without one.
    package var uuid: String
    /// NVML's own number, which differs from CUDA's; nil for other devices.
    package var nvmlIndex: Int?
    /// `0000:3B:00.0`.
    package var pciBusID: String?
    package var computeCapability: ComputeCapability?
    package var driverVersion: String?
    /// `13.0`.
    package var cudaVersion: String?
    package var sample: DeviceSample?

    package init(device: DeviceID, name: String, uuid: String = "") {
        self.device = device
        self.name = name
        self.uuid = uuid
    }
}
