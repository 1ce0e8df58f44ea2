/// Who computes a session's nodes. What the provider has no kernel for is computed by the CPU provider.
package enum ExecutionProvider: Sendable {
    case cpu
    /// The CUDA provider that comes with the engine's GPU build, behind TensorRT where `tensorRT` holds that provider's options.
    case cuda(device: Int, options: [ProviderOption], tensorRT: [ProviderOption]?)
    /// A device of a provider that was loaded from a library of its own.
    case plugin(ProviderDevice)
}

/// One of a provider's string-valued settings, named as the engine names it.
package struct ProviderOption: Sendable, Equatable {
    package var key: String
    package var value: String

    package init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// The providers that Apus knows how to ask for.
package enum ProviderName: String, Sendable, CaseIterable {
    case cpu = "CPUExecutionProvider"
    case cuda = "CUDAExecutionProvider"
    case tensorRT = "TensorrtExecutionProvider"
    case openVINO = "OpenVINOExecutionProvider"
    case webGPU = "WebGpuExecutionProvider"
    case tensorRTForRTX = "NvTensorRTRTXExecutionProvider"

    /// As people write it.
    var title: String {
        switch self {
        case .cpu: "CPU"
        case .cuda: "CUDA"
        case .tensorRT: "TensorRT"
        case .openVINO: "OpenVINO"
        case .webGPU: "WebGPU"
        case .tensorRTForRTX: "TensorRT for RTX"
        }
    }

    /// How to get it.
    package var advice: String {
        switch self {
        case .cpu:
            "Run `make setup`"
        case .cuda, .tensorRT:
            "Install onnxruntime-gpu and name the libonnxruntime.so in its folder onnxruntime/capi in APUS_ENGINE"
        case .openVINO:
            "Install onnxruntime-ep-openvino and give the path of the provider library in it"
        case .webGPU:
            "Install onnxruntime-ep-webgpu and give the path of the provider library in it"
        case .tensorRTForRTX:
            "Install onnxruntime-ep-nv-tensorrt-rtx and give the path of the provider library in it"
        }
    }

    /// What a provider needs around its own library.
    var libraryAdvice: String {
        switch self {
        case .cuda:
            "Install what it needs (pip install 'onnxruntime-gpu[cuda,cudnn]' brings the CUDA libraries, the NVIDIA driver brings libcuda.so.1) and add the folders to LD_LIBRARY_PATH"
        case .tensorRT:
            "Install TensorRT 10 and add its folder to LD_LIBRARY_PATH, or do not ask for TensorRT"
        default:
            advice
        }
    }
}
