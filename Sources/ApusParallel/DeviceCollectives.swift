package import ApusErrors
import ApusExecution
import ApusTensor
import CApusCollectives

/// NVIDIA's collective library for the ranks of one stage that are CUDA devices.
///
/// Never run on a GPU so far: what is tested is the order of its calls, against a library that adds up in the host's memory.
package struct DeviceCollectives: @unchecked Sendable {
    // Unchecked because of `functions`, pointers into a library that stays loaded.
    private let functions: apus_nccl
    /// CUDA's numbers of the devices in this process, in the order of the ranks.
    private let devices: [Int32]

    /// - Parameter library: a path; nil for what the search path of libraries finds.
    /// - Throws: `unsupported_plan` where the library is missing or lacks a function.
    package init(devices: [Int], library: String? = nil) throws(ApusError) {
        var functions = apus_nccl()
        var reason = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        let path = library ?? String(cString: apus_nccl_library)
        guard apus_nccl_open(path, &functions, &reason) == nil else {
            throw ApusError(
                .unsupportedPlan, "CUDA devices that share each layer add up by NCCL, which cannot be loaded: \(Self.text(reason))", place: path,
                advice: "Install NCCL 2 (the package nvidia-nccl-cu12 or libnccl2) where libraries are looked for, or take pipeline_parallel in place of tensor_parallel")
        }
        self.functions = functions
        self.devices = devices.map { Int32(clamping: $0) }
    }

    /// Joins the devices; the caller has to give what it gets to a communicator. Throws `device_unavailable`.
    func join() throws(ApusError) -> OpaquePointer {
        var reason = [CChar](repeating: 0, count: Int(APUS_REASON_BYTES))
        let ranks = withUnsafePointer(to: functions) { apus_device_ranks_create($0, Int32(clamping: devices.count), devices, &reason) }
        guard let ranks else { throw ApusError(.deviceUnavailable, Self.text(reason)) }
        return ranks
    }

    private static func text(_ reason: [CChar]) -> String {
        String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension DeviceCollectives {
    /// Those of a stage of these devices; nil where its ranks add up in the host's memory. Throws `unsupported_plan` for ranks of several kinds.
    ///
    /// - Parameter indices: CUDA's number of each.
    static func of(_ devices: [DeviceID], _ indices: [Int]) throws(ApusError) -> DeviceCollectives? {
        guard devices.count > 1, let first = devices.first else { return nil }
        guard devices.allSatisfy({ $0.kind == first.kind }) else {
            throw ApusError(
                .unsupportedPlan, "\(devices.map(\.description).joined(separator: ", ")) are of several kinds and cannot share each layer",
                advice: "Take ranks of one kind")
        }
        switch first.kind {
        case .cuda: return try DeviceCollectives(devices: indices)
        case .cpu, .sim: return nil
        default:
            throw ApusError(
                .unsupportedPlan, "devices of the kind \(first.kind.rawValue) cannot add up what they share", place: "\(first)",
                advice: "Take pipeline_parallel in place of tensor_parallel")
        }
    }
}
