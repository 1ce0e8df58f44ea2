/// One place where models can run, spelled as on the command line and in headers: `cpu:0`, `cuda:1`.
public struct DeviceID: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A set of cores.
        case cpu
        case cuda
        /// A device of the OpenVINO plugin provider.
        case openvino
        /// A device of the WebGPU plugin provider.
        case webgpu
        /// A device of the TensorRT for RTX plugin provider.
        case tensorrtrtx
        /// A simulated accelerator, for tests: it computes on the CPU.
        case sim
    }

    public let kind: Kind
    public let index: Int

    public init(_ kind: Kind, _ index: Int) {
        self.kind = kind
        self.index = index
    }

    /// Reads `cuda:1`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])), let index = Int(parts[1]), index >= 0,
            String(index).utf8.elementsEqual(parts[1].utf8)
        else { return nil }
        self.init(kind, index)
    }

    public var description: String { "\(kind.rawValue):\(index)" }
}

extension DeviceID.Kind {
    /// Whether devices of this kind are reported as accelerators (`gpu_*` metrics) and fall back to the CPU.
    public var isAccelerator: Bool { self != .cpu }

    /// Whether the engine's own CPU provider does the work, in the host's memory.
    package var computesOnCPU: Bool { self == .cpu || self == .sim }
}

extension DeviceID: Comparable {
    /// By kind in the order of ``Kind-swift.enum/allCases``, then by index.
    public static func < (left: DeviceID, right: DeviceID) -> Bool {
        let order = Kind.allCases
        let (l, r) = (order.firstIndex(of: left.kind) ?? 0, order.firstIndex(of: right.kind) ?? 0)
        return (l, left.index) < (r, right.index)
    }
}
