import ApusErrors
import ApusExecution
import ApusGraph
import ApusORT
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// Engines without the provider asked for, provider libraries that are none, devices that are not there.
@Suite struct ProviderTests {
    private func refusal(_ device: DeviceID, library: String? = nil, tensorRT: ExecutorSettings.TensorRT? = nil) -> ApusError? {
        let settings = ExecutorSettings(
            device: device, lanes: 1, engineLibrary: TestEngine.library, providerLibrary: library, tensorRT: tensorRT)
        do throws(ApusError) {
            _ = try InProcessExecutor(settings, graphs: CheckpointGraphs())
            return nil
        } catch {
            return error
        }
    }

    private func withFile<Result>(_ name: String, _ text: String, _ body: (String) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent(name)
        try Data(text.utf8).write(to: file)
        return try body(file.path)
    }

    @Test func anEngineWithoutCUDAIsNamedWithWhatItOffers() {
        let error = refusal(DeviceID(.cuda, 0))
        #expect(error?.code == .providerUnavailable)
        #expect(error?.message.contains("no CUDA provider") == true)
        #expect(error?.message.contains("CPUExecutionProvider") == true)
        #expect(error?.place == TestEngine.library)
        #expect(error?.advice?.contains("onnxruntime-gpu") == true)
    }

    @Test func tensorRTIsNotAskedForWithoutCUDA() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let error = refusal(DeviceID(.cuda, 0), tensorRT: .init(cacheDirectory: folder.path))
        #expect(error?.message.contains("no CUDA provider") == true)
        #expect(refusal(DeviceID(.cpu, 0), tensorRT: .init(cacheDirectory: folder.path)) == nil)
    }

    @Test(arguments: [DeviceID.Kind.openvino, .webgpu, .tensorrtrtx])
    func aPluginProviderNeedsItsLibrary(kind: DeviceID.Kind) {
        let error = refusal(DeviceID(kind, 0))
        #expect(error?.code == .providerUnavailable)
        #expect(error?.message == "\(kind.rawValue):0 needs the library of its provider, and none is named")
        #expect(error?.advice?.contains("onnxruntime-ep-") == true)
    }

    @Test func aProviderLibraryThatIsNoneIsRefusedWithTheLoadersReason() throws {
        try withFile("junk.so", "this is text") { path in
            let error = refusal(DeviceID(.openvino, 0), library: path)
            #expect(error?.code == .providerUnavailable)
            #expect(error?.message.hasPrefix("the OpenVINO provider could not be loaded: \(path): ") == true)
            #expect(error?.place == path)
        }
    }

    @Test func aProviderLibraryThatIsMissingIsNamedByItsFullPath() {
        let error = refusal(DeviceID(.webgpu, 0), library: "no/such/provider.so")
        let path = FileManager.default.currentDirectoryPath + "/no/such/provider.so"
        #expect(error?.place == path)
        #expect(error?.message.contains("could not be loaded: \(path)") == true)
    }

    @Test func aLibraryThatIsNoProviderIsRefused() {
        let error = refusal(DeviceID(.openvino, 0), library: TestEngine.library)
        #expect(error?.message == "this library is not an execution provider: it does not export CreateEpFactories")
    }

    @Test func theEngineTellsWhatItOffersAndWhatItRefused() throws {
        let engine = try Engine.open(libraryPath: TestEngine.library)
        try withFile("junk.so", "this is text") { path in
            let offered = try engine.offeredDevices(plugins: [.webGPU: path])
            #expect(offered.providers.contains("CPUExecutionProvider"))
            let cpu = offered.devices.first { $0.provider == "CPUExecutionProvider" }
            #expect(cpu?.hardware == .cpu && cpu?.providerVendor == "Microsoft")
            #expect(cpu?.metadata["version"] == engine.version)
            #expect(offered.refused.map(\.provider) == [.webGPU])
            #expect(offered.refused.first?.error.place == path)
            #expect(offered.refused.first?.error.message.hasPrefix("the WebGPU provider could not be loaded: \(path): ") == true)
        }
    }

    /// The texts are those of ONNX Runtime 1.31.1: the first three seen, the last as its source writes it.
    @Test(arguments: [
        (
            "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library /usr/lib/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: No such file or directory\n",
            "the CUDA provider could not be loaded: libcublasLt.so.13: cannot open shared object file: No such file or directory"
        ),
        (
            "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:63 static onnxruntime::CUDAExecutionProviderInfo onnxruntime::CUDAExecutionProviderInfo::FromProviderOptions(const onnxruntime::ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:187 Parse Failed to parse provider option \"device_id\": CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc ; line=70 ; expr=cudaGetDeviceCount(&num_devices); \n",
            "the CUDA provider cannot use cuda:3: CUDA failure 100: no CUDA-capable device is detected"
        ),
        (
            "OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library",
            "the CUDA provider cannot be used on cuda:3: OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library"
        ),
        (
            "Failed to parse provider option \"device_id\": Invalid device ID: 3, must be between 0 (inclusive) and 1 (exclusive).",
            "there is no device cuda:3: Invalid device ID: 3, must be between 0 (inclusive) and 1 (exclusive)."
        ),
    ])
    func whatCUDASaysBecomesOneSentence(text: String, message: String) {
        let error = ProviderFailure(provider: .cuda, device: "cuda:3", library: nil, text: text).error
        #expect(error.code == .providerUnavailable)
        #expect(error.message == message)
        #expect(error.advice?.isEmpty == false)
    }

    @Test func settingsBecomeTheProvidersOptions() {
        var settings = ExecutorSettings(device: DeviceID(.cuda, 2), lanes: 1, engineLibrary: "")
        #expect(settings.cudaOptions == [
            ProviderOption("device_id", "2"), ProviderOption("arena_extend_strategy", "kSameAsRequested"),
            ProviderOption("use_tf32", "1"), ProviderOption("enable_cuda_graph", "0"),
        ])
        #expect(settings.tensorRTOptions == nil && settings.inapplicable.isEmpty)
        settings.memoryLimitBytes = 3 << 30
        settings.tf32 = .off
        settings.tensorRT = .init(cacheDirectory: "cache")
        settings.cudaGraphs = .on
        #expect(settings.cudaOptions.contains(ProviderOption("gpu_mem_limit", "3221225472")))
        #expect(settings.cudaOptions.contains(ProviderOption("use_tf32", "0")))
        // In a process that sees only this device it is number 0, whatever it is called.
        settings.onlyVisibleUUID = "GPU-1"
        #expect(settings.cudaOptions.first == ProviderOption("device_id", "0"))
        #expect(settings.tensorRTOptions?.contains(ProviderOption("trt_engine_cache_path", "cache")) == true)
        #expect(settings.tensorRTOptions?.contains(ProviderOption("trt_fp16_enable", "0")) == true)
        #expect(settings.inapplicable.count == 1)
        settings.device = DeviceID(.cpu, 0)
        #expect(settings.inapplicable.count == 2)
    }

    @Test(arguments: [
        ("Available memory of 10 is smaller than requested bytes of 20", ApusError.Code.outOfMemory),
        ("Failed to allocate memory for requested buffer of size 20", .outOfMemory),
        ("CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; expr=cudaMalloc(&p, size);", .outOfMemory),
        ("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0", .outOfMemory),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", .outOfMemory),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", .engineFailure),
        ("CUDA failure 214: uncorrectable ECC error encountered ; GPU=0", .engineFailure),
    ])
    func exhaustedMemoryIsToldFromOtherFailuresAndTheTextStays(text: String, code: ApusError.Code) {
        let error = EngineStatus(code: 1, message: "Non-zero status code returned while running MatMul node. \(text)").error
        #expect(error.code == code)
        #expect(error.message.contains(text))
    }
}
