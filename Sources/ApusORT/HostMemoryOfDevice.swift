import ApusErrors
import COnnxRuntime

/// Memory of the host that a session's device reads and writes by itself, and who hands it out.
final class HostMemoryOfDevice {
    let info: OpaquePointer
    let allocator: OpaquePointer
    private let session: Session

    /// `OrtDeviceAllocator`.
    private static let deviceAllocator: Int32 = 0
    /// `OrtMemTypeCPUOutput`, which the CUDA provider's page-locked memory is known by, and `OrtMemTypeDefault`.
    private static let (pinned, ordinary): (Int32, Int32) = (-1, 0)

    init(_ session: Session) throws(ApusError) {
        let engine = session.engine
        var info: OpaquePointer?
        switch session.provider {
        case .cuda(let device, _, _):
            try engine.check(
                OrtCreateMemoryInfo(engine.api, "CudaPinned", Self.deviceAllocator, Int32(clamping: device), Self.pinned, &info))
        case .cpu, .plugin:
            try engine.check(OrtCreateMemoryInfo(engine.api, "Cpu", Self.deviceAllocator, 0, Self.ordinary, &info))
        }
        guard let info else { throw ApusError(.engineFailure, "ONNX Runtime returned no description of memory") }
        var allocator: OpaquePointer?
        do throws(ApusError) {
            try engine.check(OrtCreateAllocator(engine.api, session.handle.pointer, info, &allocator))
            guard allocator != nil else { throw ApusError(.engineFailure, "ONNX Runtime returned no allocator") }
        } catch {
            OrtReleaseMemoryInfo(engine.api, info)
            throw error
        }
        guard let allocator else { throw ApusError(.engineFailure, "ONNX Runtime returned no allocator") }
        self.info = info
        self.allocator = allocator
        self.session = session
    }

    deinit {
        OrtReleaseAllocator(session.engine.api, allocator)
        OrtReleaseMemoryInfo(session.engine.api, info)
    }
}
