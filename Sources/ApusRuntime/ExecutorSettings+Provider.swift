import ApusErrors
package import ApusExecution
package import ApusORT
import ApusTensor
import Foundation

extension ExecutorSettings {
    /// The provider these settings ask for, proven to be there. Throws `provider_unavailable`.
    func provider(of engine: Engine) throws(ApusError) -> ExecutionProvider {
        for line in inapplicable { EngineLog.warning(line) }
        let provider: ExecutionProvider
        switch device.kind {
        case .cpu, .sim:
            return .cpu
        case .cuda:
            if let tensorRT { try Self.makeDirectory(tensorRT.cacheDirectory) }
            provider = .cuda(device: engineIndex, options: cudaOptions, tensorRT: tensorRTOptions)
        case .openvino:
            provider = try plugin(.openVINO, engine)
        case .webgpu:
            provider = try plugin(.webGPU, engine)
        case .tensorrtrtx:
            provider = try plugin(.tensorRTForRTX, engine)
        }
        try engine.verify(provider, device: device.description)
        return provider
    }

    /// What is asked for and cannot be had on this kind of device, a sentence each.
    package var inapplicable: [String] {
        var lines: [String] = []
        if tensorRT != nil, device.kind != .cuda {
            lines.append("TensorRT is an option of CUDA devices and does nothing on \(device)")
        }
        if cudaGraphs == .on {
            // The engine replays a recorded graph from the addresses and shapes of the step it was recorded in, and says nothing when
            // they have changed: with steps whose tensors lie in host memory the answer would be that of the first step.
            lines.append(
                device.kind == .cuda
                    ? "CUDA graphs do not apply to \(device): they need tensors of one shape at one address, and the length of a batch changes from step to step; operators are launched one by one"
                    : "CUDA graphs are an option of CUDA devices and do nothing on \(device)")
        }
        return lines
    }

    /// Options of the CUDA provider. `gpu_mem_limit` bounds each model's arena by itself; workspaces of CUDA's libraries and the context come
    /// on top of it.
    package var cudaOptions: [ProviderOption] {
        var options = [
            ProviderOption("device_id", String(engineIndex)),
            // The default doubles the arena whenever it is too small, which for changing shapes ends far above what is needed.
            ProviderOption("arena_extend_strategy", "kSameAsRequested"),
            ProviderOption("use_tf32", tf32 == .allowed ? "1" : "0"),
            ProviderOption("enable_cuda_graph", "0"),
        ]
        if let memoryLimitBytes { options.append(ProviderOption("gpu_mem_limit", String(memoryLimitBytes))) }
        return options
    }

    /// Options of the TensorRT provider, when it is asked for: engines and timings are kept, precision stays that of the model.
    package var tensorRTOptions: [ProviderOption]? {
        tensorRT.map { tensorRT in
            [
                ProviderOption("device_id", String(engineIndex)),
                ProviderOption("trt_engine_cache_enable", "1"),
                ProviderOption("trt_engine_cache_path", tensorRT.cacheDirectory),
                ProviderOption("trt_timing_cache_enable", "1"),
                ProviderOption("trt_timing_cache_path", tensorRT.cacheDirectory),
                ProviderOption("trt_fp16_enable", "0"),
            ]
        }
    }

    private func plugin(_ name: ProviderName, _ engine: Engine) throws(ApusError) -> ExecutionProvider {
        guard let providerLibrary else {
            throw ApusError(
                .providerUnavailable, "\(device) needs the library of its provider, and none is named", advice: name.advice)
        }
        // The engine takes a relative path to be beside its own library.
        let path = URL(fileURLWithPath: providerLibrary).standardizedFileURL.path
        return .plugin(try engine.pluginDevice(name, library: path, index: device.index))
    }

    private static func makeDirectory(_ path: String) throws(ApusError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw ApusError(.fileUnwritable, "this folder cannot be made", place: path, cause: error)
        }
    }
}
