import ApusErrors
import ApusExecution
import ApusTensor

extension NetworkForm {
    /// Refuses what the engine has no kernels for on devices of this kind. It would not say so itself: it converts between types for each
    /// operator, or moves operators to the CPU.
    func requireKernels(on device: DeviceID) throws(ApusError) {
        let computesOnCPU = device.kind.computesOnCPU
        switch style {
        case .kernels where !computesOnCPU:
            throw ApusError(
                .unsupportedPrecision, "Apus' own operators run on CPUs only", place: "\(device)", advice: "Choose a fused or plain form")
        case .fused where computesOnCPU && (precision == .fp16 || precision == .bf16):
            throw ApusError(
                .unsupportedPrecision, "the engine has no \(precision.rawValue) products on a CPU", place: "\(device)",
                advice: "Choose kernels-bf16, kernels-int8 or an fp32 form")
        default:
            break
        }
    }
}
