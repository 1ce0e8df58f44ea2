package import ApusErrors
package import ApusTensor
import COnnxRuntime

/// A session with its inputs and outputs bound to memory of the host that its device fetches from and delivers to by itself: page-locked
/// memory for CUDA, so that copies run beside the computation of other sessions and no driver copies once more; ordinary memory for others.
///
/// Belongs to one thread at a time. Results leave the device once, at the end of a run.
package struct BoundSession: ~Copyable {
    package let session: Session
    private let binding: OpaquePointer
    private let memory: HostMemoryOfDevice
    /// One for each input.
    private var staging: [StagingCell]

    /// Boxes what cannot be an array's element.
    private final class StagingCell {
        var block: StagingBlock

        init(_ block: consuming StagingBlock) {
            self.block = block
        }
    }

    /// Throws `engine_failure` when the device has no such memory.
    package static func open(_ session: Session) throws(ApusError) -> BoundSession {
        let memory = try HostMemoryOfDevice(session)
        var binding: OpaquePointer?
        try session.engine.check(OrtCreateIoBinding(session.engine.api, session.handle.pointer, &binding))
        guard let binding else { throw ApusError(.engineFailure, "ONNX Runtime returned no binding") }
        return BoundSession(session, binding, memory)
    }

    private init(_ session: Session, _ binding: OpaquePointer, _ memory: HostMemoryOfDevice) {
        self.session = session
        self.binding = binding
        self.memory = memory
        staging = session.inputNames.map { _ in StagingCell(StagingBlock(session.engine, memory)) }
    }

    deinit {
        OrtReleaseIoBinding(session.engine.api, binding)
    }

    /// Bytes of staging memory held.
    package var stagedBytes: Int { staging.reduce(0) { $0 + $1.block.byteCount } }

    /// As ``Session/run(_:outputs:profile:receive:)``.
    package mutating func run<Result>(
        _ inputs: [TensorArgument], outputs places: [Int], profile: String? = nil,
        receive: (_ place: Int, ElementType, _ shape: [Int], UnsafeRawBufferPointer) throws(ApusError) -> Result
    ) throws(ApusError) -> [Result] {
        try session.requireFit(inputs.count, places)
        let (engine, options) = (session.engine, try session.options(profile: profile))
        defer {
            // Inputs lie on the device as long as they are bound.
            OrtClearBoundInputs(engine.api, binding)
            OrtClearBoundOutputs(engine.api, binding)
            withExtendedLifetime(options) {}
        }
        for (index, input) in inputs.enumerated() {
            let address = try staging[index].block.fill(UnsafeRawBufferPointer(start: input.data, count: input.byteCount))
            let staged = TensorArgument(input.elementType, input.shape, data: address, byteCount: input.byteCount)
            var value = TensorValues(engine)
            try value.add(borrowing: staged, in: memory.info)
            for handle in value.handles { try engine.check(OrtBindInput(engine.api, binding, session.inputNames[index], handle)) }
        }
        for place in places { try engine.check(OrtBindOutputToDevice(engine.api, binding, session.outputNames[place], memory.info)) }
        try engine.check(OrtSynchronizeBoundInputs(engine.api, binding))
        try engine.check(OrtRunWithBinding(engine.api, session.handle.pointer, options?.handle, binding))
        try engine.check(OrtSynchronizeBoundOutputs(engine.api, binding))
        return try session.handOver(try boundOutputs(), places, receive)
    }

    /// Gives the staging memory back.
    package mutating func releaseStaging() throws(ApusError) {
        for cell in staging { try cell.block.release() }
    }

    /// In the order in which they were bound; the caller releases them.
    private func boundOutputs() throws(ApusError) -> [OpaquePointer?] {
        let engine = session.engine
        var allocator: OpaquePointer?
        try engine.check(OrtGetAllocatorWithDefaultOptions(engine.api, &allocator))
        guard let allocator else { throw ApusError(.engineFailure, "ONNX Runtime returned no allocator") }
        var list: UnsafeMutablePointer<OpaquePointer?>?
        var count = 0
        try engine.check(OrtGetBoundOutputValues(engine.api, binding, allocator, &list, &count))
        guard let list else { return [] }
        let values = Array(UnsafeBufferPointer(start: list, count: count))
        try engine.check(OrtAllocatorFree(engine.api, allocator, list))
        return values
    }
}
