package import ApusErrors
import COnnxRuntime

/// A device as a provider offers it. The engine keeps what lies behind the handle as long as the process lives.
package struct ProviderDevice: @unchecked Sendable {
    // The engine never changes a device that it has handed out, so that sharing the pointer is safe.
    let handle: OpaquePointer

    /// What a device is made of.
    package enum Hardware: String, Sendable {
        case cpu
        case gpu
        case npu
        case other

        init(_ raw: Int32) {
            switch raw {
            case 0: self = .cpu
            case 1: self = .gpu
            case 2: self = .npu
            default: self = .other
            }
        }
    }

    /// The engine's name of the provider, `OpenVINOExecutionProvider`.
    package let provider: String
    package let providerVendor: String
    package let hardware: Hardware
    package let hardwareVendor: String
    /// PCI numbers, 0 where there are none.
    package let hardwareVendorID: UInt32
    package let hardwareDeviceID: UInt32
    /// What the provider tells about the device, by its own keys.
    package let metadata: [String: String]
    /// What the engine found out about the hardware.
    package let hardwareMetadata: [String: String]

    init(_ handle: OpaquePointer, _ engine: Engine) {
        self.handle = handle
        let api = engine.api
        let device = OrtEpDevice_Device(api, handle)
        provider = String(cString: OrtEpDevice_EpName(api, handle))
        providerVendor = String(cString: OrtEpDevice_EpVendor(api, handle))
        metadata = engine.pairs(OrtEpDevice_EpMetadata(api, handle))
        hardware = Hardware(OrtHardwareDevice_Type(api, device))
        hardwareVendor = String(cString: OrtHardwareDevice_Vendor(api, device))
        hardwareVendorID = OrtHardwareDevice_VendorId(api, device)
        hardwareDeviceID = OrtHardwareDevice_DeviceId(api, device)
        hardwareMetadata = engine.pairs(OrtHardwareDevice_Metadata(api, device))
    }
}

/// What the engine of this process can run on.
package struct OfferedDevices: Sendable {
    /// Providers compiled into the engine, most capable first.
    package let providers: [String]
    /// Devices that providers offer, the CPU's among them. The providers of the GPU build that are not plugins do not list theirs.
    package let devices: [ProviderDevice]
    /// Plugin libraries that could not be used.
    package let refused: [Refusal]

    package struct Refusal: Sendable {
        package let provider: ProviderName
        /// `provider_unavailable`, with the library as its place.
        package let error: ApusError
    }
}
