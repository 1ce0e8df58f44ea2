package import ApusErrors
import COnnxRuntime

/// What an arena counts, in bytes.
package struct ArenaStatistics: Sendable, Equatable {
    package var inUse = 0
    /// Taken from the device, in use or kept for later.
    package var reserved = 0
    /// The most ``inUse`` has been.
    package var maxInUse = 0

    package init(inUse: Int = 0, reserved: Int = 0, maxInUse: Int = 0) {
        self.inUse = inUse
        self.reserved = reserved
        self.maxInUse = maxInUse
    }

    /// From the engine's own names; what it does not tell counts 0.
    package init(_ pairs: [String: String]) {
        func bytes(_ key: String) -> Int { max(0, pairs[key].flatMap { Int($0) } ?? 0) }
        self.init(inUse: bytes("InUse"), reserved: bytes("TotalAllocated"), maxInUse: bytes("MaxInUse"))
    }
}

extension Session {
    /// What the session holds of its device's memory. All zero when the provider does not tell.
    ///
    /// Packed weights are in it. Weights that the engine reads where they lie, in a mapped file, are not.
    package func statistics() throws(ApusError) -> ArenaStatistics {
        guard let allocator else { return ArenaStatistics() }
        var pairs: OpaquePointer?
        try engine.check(OrtAllocatorGetStats(engine.api, allocator, &pairs))
        guard let pairs else { return ArenaStatistics() }
        defer { OrtReleaseKeyValuePairs(engine.api, pairs) }
        return ArenaStatistics(engine.pairs(pairs))
    }

    /// Gives back what the session's arenas hold unused. On a CPU runs may be under way: their memory stays theirs.
    ///
    /// The engine shrinks arenas at the end of runs only, also of a run that is called off before its first operator. That is done
    /// here, so that no input has to make sense.
    package func releaseUnusedMemory() throws(ApusError) {
        if let allocator, OrtAllocatorCanShrink(allocator) { try engine.check(OrtAllocatorShrink(allocator)) }
        var arguments = TensorValues(engine)
        for index in inputNames.indices {
            guard let (elementType, shape) = try inputType(at: index) else { return }
            try arguments.add(anyOf: elementType, shape.map { $0 ?? 1 })
        }
        guard !outputNames.isEmpty else { return }
        let options = try RunOptions.shrinking(engine, arenas: provider.arenas)
        do throws(ApusError) {
            for case let output? in try start(arguments, [0], options) { OrtReleaseValue(engine.api, output) }
        } catch where error.message.contains("terminate flag") {
            return
        }
    }
}

extension ExecutionProvider {
    /// The arenas that a session on this provider has, as the engine's shrinking option lists them.
    fileprivate var arenas: String {
        switch self {
        case .cpu, .plugin: "cpu:0"
        case .cuda(let device, _, _): "gpu:\(device);cpu:0"
        }
    }
}

extension SessionHandle {
    /// The allocator of the provider's device; nil when the provider has none to lend.
    borrowing func allocator(for provider: ExecutionProvider) -> OpaquePointer? {
        var allocator: OpaquePointer?
        switch provider {
        case .cpu:
            try? engine.check(OrtCreateAllocator(engine.api, pointer, engine.hostMemory, &allocator))
        case .cuda(let device, _, _):
            var memory: OpaquePointer?
            try? engine.check(
                OrtCreateMemoryInfo(engine.api, "Cuda", Self.deviceAllocator, Int32(clamping: device), Self.defaultMemory, &memory))
            guard let memory else { return nil }
            defer { OrtReleaseMemoryInfo(engine.api, memory) }
            try? engine.check(OrtCreateAllocator(engine.api, pointer, memory, &allocator))
        case .plugin(let device):
            guard let memory = OrtEpDevice_MemoryInfo(engine.api, device.handle, Self.defaultMemory) else { return nil }
            try? engine.check(OrtCreateAllocator(engine.api, pointer, memory, &allocator))
        }
        return allocator
    }

    /// `OrtAllocatorType`.
    private static let deviceAllocator: Int32 = 0
    /// `OrtMemType` and `OrtDeviceMemoryType`.
    private static let defaultMemory: Int32 = 0
}
