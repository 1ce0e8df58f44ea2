package import ApusErrors
import CNVML

extension ApusError.Code {
    /// CUDA's driver library is missing, or does not start.
    package static let cudaUnavailable = Self(rawValue: "cuda_unavailable")
}

/// CUDA's driver library, asked for its devices only. That creates no context, but opens the devices and may take long or forever: it is for
/// the monitor's process alone.
package enum CUDADriver {
    /// The devices that CUDA shows this process, in its order. Throws `cuda_unavailable`.
    package static func devices(libraryPath: String = "libcuda.so.1") throws(ApusError) -> [DeviceNumbering.Enumerated] {
        var table = ApusCuda()
        var reason = [CChar](repeating: 0, count: 1_024)
        guard ApusCudaOpen(libraryPath, &table, &reason, reason.count) == ApusLibraryOpened else {
            throw ApusError(.cudaUnavailable, "CUDA's driver library cannot be used: \(NVMLSession.text(reason))", place: libraryPath)
        }
        let code = table.Init?(0) ?? notFound
        // No device is what CUDA_VISIBLE_DEVICES can ask for.
        if code == noDevice { return [] }
        guard code == 0 else { throw ApusError(.cudaUnavailable, "CUDA does not start: code \(code)", place: libraryPath) }
        var count: Int32 = 0
        guard table.DeviceGetCount?(&count) == 0 else {
            throw ApusError(.cudaUnavailable, "CUDA does not count its devices", place: libraryPath)
        }
        var devices: [DeviceNumbering.Enumerated] = []
        for ordinal in 0..<max(0, count) {
            var device: Int32 = 0
            var uuid = ApusCudaUUID()
            // Version 2 tells the UUID of a MIG instance where the first tells that of its GPU.
            guard table.DeviceGet?(&device, ordinal) == 0,
                table.DeviceGetUuid_v2?(&uuid, device) == 0 || table.DeviceGetUuid?(&uuid, device) == 0
            else { throw ApusError(.cudaUnavailable, "CUDA does not identify its device \(ordinal)", place: libraryPath) }
            let bus = NVMLSession.text(64) { table.DeviceGetPCIBusId?($0, Int32($1), device) }
            devices.append(DeviceNumbering.Enumerated(uuid: text(uuid), bus: bus.flatMap { PCIBusID($0) }))
        }
        return devices
    }

    private static let noDevice: Int32 = 100
    private static let notFound: Int32 = 500

    /// As NVML spells it: `GPU-` and groups of 4, 2, 2, 2 and 6 bytes.
    private static func text(_ uuid: ApusCudaUUID) -> String {
        let digits = withUnsafeBytes(of: uuid) { bytes in
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        }
        let groups = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }
        return "GPU-" + groups.joined(separator: "-")
    }
}
