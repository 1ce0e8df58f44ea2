package import ApusDevices
package import ApusErrors
package import ApusExecution
package import ApusFleet
package import ApusTensor

/// A device as far as it matters for the forms that networks may have on it.
package struct PrecisionDevice: Sendable, Equatable {
    package var id: DeviceID
    /// Of CUDA devices, where it is known.
    package var capability: GPUInfo.ComputeCapability?
    package var features: CPUFeatures

    package init(_ id: DeviceID, capability: GPUInfo.ComputeCapability? = nil, features: CPUFeatures = .current) {
        self.id = id
        self.capability = capability
        self.features = features
    }

    package init(_ member: FleetPlan.Member, features: CPUFeatures) {
        self.init(member.settings.device, capability: member.info.computeCapability, features: features)
    }

    var computesOnCPU: Bool { id.kind == .cpu || id.kind == .sim }

    /// The forms that `precision` may take here, the more exact first, or the preferred first on accelerators. `auto` weighs int8 and int4
    /// only where `floor` allows more than 16-bit arithmetic loses.
    ///
    /// Throws `unsupported_precision` with what is available.
    package func forms(_ precision: Precision, floor: Double?) throws(ApusError) -> [NetworkForm] {
        let found = computesOnCPU ? processorForms(precision, floor) : acceleratorForms(precision, floor)
        guard found.isEmpty else { return found }
        let available = Precision.allCases.filter { !(computesOnCPU ? processorForms($0, floor) : acceleratorForms($0, floor)).isEmpty }
        throw ApusError(
            .unsupportedPrecision, "\(precision.rawValue) is not available on \(id): \(absence(of: precision))", place: "precision",
            advice: "Available are \(available.map(\.rawValue).joined(separator: ", "))")
    }

    private func processorForms(_ precision: Precision, _ floor: Double?) -> [NetworkForm] {
        switch precision {
        case .fp32: return [.fusedFP32, .kernelsFP32]
        case .bf16: return features.computes(.bf16) ? [.kernelsBF16] : []
        case .int8: return [.kernelsInt8]
        case .int4: return [.fusedInt4]
        case .fp16: return []
        case .auto:
            var forms: [NetworkForm] = [.fusedFP32, .kernelsFP32]
            if features.computes(.bf16) { forms.append(.kernelsBF16) }
            guard Self.allowsMore(floor) else { return forms }
            if features.computes(.int8) { forms.append(.kernelsInt8) }
            return forms + [.fusedInt4]
        }
    }

    private func acceleratorForms(_ precision: Precision, _ floor: Double?) -> [NetworkForm] {
        switch precision {
        case .fp32: return [.plainFP32]
        case .bf16: return has(8, 0) ?? true ? [.fusedBF16] : []
        case .fp16: return has(6, 0) ?? true ? [.fusedFP16] : []
        case .int8: return [.fusedInt8]
        case .int4: return [.fusedInt4]
        case .auto:
            guard id.kind == .cuda else { return [.plainFP32] }
            var forms: [NetworkForm] = []
            if has(8, 0) == true { forms.append(.fusedBF16) }
            if has(6, 0) == true { forms.append(.fusedFP16) }
            forms.append(.plainFP32)
            return Self.allowsMore(floor) ? forms + [.fusedInt8, .fusedInt4] : forms
        }
    }

    /// nil where the capability is not known.
    private func has(_ major: Int, _ minor: Int) -> Bool? {
        capability.map { ($0.major, $0.minor) >= (major, minor) }
    }

    private static func allowsMore(_ floor: Double?) -> Bool {
        floor.map { $0 < Precision.auto.knownAnswerFloor } ?? false
    }

    private func absence(of precision: Precision) -> String {
        if computesOnCPU {
            guard precision == .bf16 else { return "CPUs have no products in it" }
            return "this CPU (\(features.names.isEmpty ? "no vector instructions known" : features.names.joined(separator: ", "))) has no bf16 products"
        }
        return "its compute capability is \(capability?.description ?? "unknown"), \(precision == .bf16 ? "8.0" : "6.0") is wanted"
    }
}
