package import ApusErrors
import CNVML

extension ApusError.Code {
    /// The machine has no NVML, no driver or no GPU: asking again is of no use.
    package static let nvmlMissing = Self(rawValue: "nvml_missing")
    /// NVML answers with an error that may pass.
    package static let nvmlFailure = Self(rawValue: "nvml_failure")
}

/// What an NVML call returned.
struct NVMLCode: Equatable {
    let value: Int32

    init(_ value: Int32) {
        self.value = value
    }

    /// Whether the code says no more than that this GPU, this driver or this user cannot have the figure: normal, as for ECC counts of a GeForce.
    var isNotOffered: Bool {
        switch value {
        case APUS_NVML_NOT_SUPPORTED, APUS_NVML_NO_PERMISSION, APUS_NVML_FUNCTION_NOT_FOUND, APUS_NVML_IN_USE, APUS_NVML_NO_DATA,
            APUS_NVML_ARGUMENT_VERSION_MISMATCH, APUS_NVML_DEPRECATED, APUS_NVML_NOT_READY:
            true
        default: false
        }
    }

    /// What the code says of the GPU that was asked; nil for success and for a figure that is not offered.
    var complaint: DeviceSample.Answer? {
        switch value {
        case APUS_NVML_SUCCESS: nil
        case APUS_NVML_GPU_IS_LOST: .lost
        case APUS_NVML_RESET_REQUIRED: .needsReset
        default: isNotOffered ? nil : .failed(code: Int(value))
        }
    }

    func error(_ what: String, _ table: ApusNvml) -> ApusError {
        let name = table.ErrorString?(value).map { String(cString: $0) } ?? "no name"
        switch value {
        case APUS_NVML_DRIVER_NOT_LOADED, APUS_NVML_LIBRARY_NOT_FOUND, APUS_NVML_FUNCTION_NOT_FOUND, APUS_NVML_GPU_NOT_FOUND:
            return ApusError(.nvmlMissing, "\(what): code \(value), \(name)")
        case APUS_NVML_VERSION_MISMATCH:
            return ApusError(
                .nvmlMissing, "\(what): code \(value), \(name)",
                advice: "The driver was updated while it was loaded: restart the machine, or unload and load its modules")
        default:
            return ApusError(.nvmlFailure, "\(what): code \(value), \(name)")
        }
    }
}
