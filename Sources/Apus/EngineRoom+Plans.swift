import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusTensor

extension EngineRoom {
    /// Where a model is cut for the groups of the plan; nil where there are none. Throws `unsupported_plan` for a model that cannot be shared so.
    func cuts(of checkpoint: Checkpoint, _ segments: SegmentRequest, only device: DeviceID?) throws(ApusError) -> StageCuts? {
        guard let parallel, let first = groups.first else { return nil }
        func refusal(_ message: String, _ advice: String) -> ApusError {
            ApusError(.unsupportedPlan, message, place: checkpoint.name, advice: advice)
        }
        if let device {
            throw refusal("the model is assigned to \(device) alone, and the plan has its devices compute together", "Leave out the assignment, or the plan")
        }
        guard segments == .automatic else {
            throw refusal("segments are asked for, and the devices of \(first) hold parts of the model already", "Leave out the segments, or the plan")
        }
        let tensors = parallel.request.wishes.cuts
        let outline = if let known = parallel.outlines[checkpoint.directory] { known } else { try NetworkOutline(checkpoint, cuts: tensors) }
        guard case .onnx(let file) = checkpoint.source else { return try checked(StageCuts(outline, like: parallel)) }
        return try checked(StageCuts(outline, nodes: try file.pieces(tensors).map(\.nodes), like: parallel))
    }

    /// Where a model of any tensors is cut for the groups of the plan; nil where there are none. Throws `unsupported_plan`.
    func cuts(of file: ONNXFile, name: String) throws(ApusError) -> StageCuts? {
        guard let parallel, !groups.isEmpty else { return nil }
        let pieces = try file.pieces(parallel.request.wishes.cuts)
        let outline = if let known = parallel.outlines[file.path] { known } else { try NetworkOutline(file, pieces, name: name) }
        return try checked(StageCuts(outline, nodes: pieces.map(\.nodes), like: parallel))
    }

    /// Those of the plan that was asked for.
    private var groups: [Formation] { (parallel?.wished.replicas ?? []).compactMap { Formation($0) }.filter(\.isGroup) }

    /// Throws `unsupported_plan` for a model that cannot be cut for one of the groups.
    private func checked(_ cuts: StageCuts) throws(ApusError) -> StageCuts {
        for group in groups { _ = try cuts.replica(for: try GroupShape(group.stages.map { $0.map { GroupShape.Member($0) } })) }
        return cuts
    }

    /// Shards are computed in fp32 unless 16 bits are asked for, which accelerators have: kernels for other forms take whole matrices. Nil where no layer is
    /// shared by several devices.
    ///
    /// Throws `unsupported_precision` where another is asked for.
    func shardForm(_ precision: Precision, floor: Double?, on kind: DeviceID.Kind, _ name: String) throws(ApusError) -> ServedForm? {
        guard let shape = parallel?.wished.shape, shape.tensor > 1 else { return nil }
        if kind.isAccelerator, kind != .sim, let form = [Precision.fp16: NetworkForm.fusedFP16, .bf16: .fusedBF16][precision] {
            return ServedForm(
                PrecisionChoice(unmeasured: form, floor: floor ?? precision.knownAnswerFloor, reason: "\(precision.rawValue) is asked for"))
        }
        guard precision == .auto || precision == .fp32 else {
            throw ApusError(
                .unsupportedPrecision, "\(precision.rawValue) is not computed by devices that share each layer (\(shape)), only fp32\(kind.isAccelerator ? ", fp16 and bf16" : "")", place: name,
                advice: "Use --precision fp32 or auto, or pipeline_parallel in place of tensor_parallel")
        }
        return ServedForm(
            PrecisionChoice(
                unmeasured: kind.networkForm, floor: floor ?? Precision.fp32.knownAnswerFloor, reason: "devices that share each layer compute in fp32"))
    }
}
