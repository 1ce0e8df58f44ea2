import ApusErrors
import COnnxRuntime

extension SessionOptions {
    /// Puts `provider` in front of the CPU provider, which always comes last by itself.
    borrowing func append(_ provider: ExecutionProvider, _ device: String) throws(ApusError) {
        switch provider {
        case .cpu:
            // Its result, SkipLayerNormalization, is several times slower on a CPU than the Add and LayerNormalization it replaces.
            // Kernels for other devices are as fast as they should be.
            try set("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
        case .cuda(_, let options, let tensorRT):
            if let tensorRT { try appendTensorRT(tensorRT, device) }
            try appendCUDA(options, device)
        case .plugin(let offered):
            do throws(ApusError) {
                try engine.check(
                    OrtSessionOptionsAppendExecutionProvider_V2(
                        engine.api, handle, engine.environment, [offered.handle], 1, nil, nil, 0))
            } catch {
                throw ApusError(.providerUnavailable, "\(offered.provider) refuses \(device): \(error.message)")
            }
        }
    }

    private borrowing func appendCUDA(_ options: [ProviderOption], _ device: String) throws(ApusError) {
        do throws(ApusError) {
            var provider: OpaquePointer?
            try engine.check(OrtCreateCUDAProviderOptions(engine.api, &provider))
            guard let provider else { throw ApusError(.engineFailure, "ONNX Runtime returned no provider options") }
            defer { OrtReleaseCUDAProviderOptions(engine.api, provider) }
            let (keys, values) = (CStringArray(options.map(\.key)), CStringArray(options.map(\.value)))
            // This call loads the provider's libraries and looks for the device.
            try engine.check(
                OrtUpdateCUDAProviderOptions(engine.api, provider, keys.pointers, values.pointers, options.count))
            try engine.check(OrtSessionOptionsAppendExecutionProvider_CUDA_V2(engine.api, handle, provider))
        } catch {
            throw ProviderFailure(provider: .cuda, device: device, library: nil, text: error.message).error
        }
    }

    private borrowing func appendTensorRT(_ options: [ProviderOption], _ device: String) throws(ApusError) {
        do throws(ApusError) {
            var provider: OpaquePointer?
            try engine.check(OrtCreateTensorRTProviderOptions(engine.api, &provider))
            guard let provider else { throw ApusError(.engineFailure, "ONNX Runtime returned no provider options") }
            defer { OrtReleaseTensorRTProviderOptions(engine.api, provider) }
            let (keys, values) = (CStringArray(options.map(\.key)), CStringArray(options.map(\.value)))
            try engine.check(
                OrtUpdateTensorRTProviderOptions(engine.api, provider, keys.pointers, values.pointers, options.count))
            try engine.check(OrtSessionOptionsAppendExecutionProvider_TensorRT_V2(engine.api, handle, provider))
        } catch {
            throw ProviderFailure(provider: .tensorRT, device: device, library: nil, text: error.message).error
        }
    }
}
