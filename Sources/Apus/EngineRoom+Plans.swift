import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusTensor

extension EngineRoom {
    /// Where a model is cut for the groups of the plan; nil where there are none. Throws `unsupported_plan` for a model that cannot be shared so.
    func cuts(of checkpoint: Checkpoint, _ segments: SegmentRequest, only device: DeviceID?) throws(ApusError) -> StageCuts? {
        guard let parallel else { return nil }
        let groups = parallel.wished.replicas.compactMap { Formation($0) }.filter(\.isGroup)
        guard let first = groups.first else { return nil }
        func refusal(_ message: String, _ advice: String) -> ApusError {
            ApusError(.unsupportedPlan, message, place: checkpoint.name, advice: advice)
        }
        if let device {
            throw refusal("the model is assigned to \(device) alone, and the plan has its devices compute together", "Leave out the assignment, or the plan")
        }
        guard case .encoder = checkpoint.source else {
            throw refusal("an ONNX file is not shared by the devices of \(first)", "Take the strategy data_parallel, which loads it on each device")
        }
        guard segments == .automatic else {
            throw refusal("segments are asked for, and the devices of \(first) hold parts of the model already", "Leave out the segments, or the plan")
        }
        let cuts = try StageCuts(try NetworkOutline(checkpoint), like: parallel)
        for group in groups { _ = try cuts.replica(for: try GroupShape(group.stages.map { $0.map { GroupShape.Member($0) } })) }
        return cuts
    }

    /// Shards are computed in fp32 on CPUs: kernels for other forms take whole matrices. Nil where no layer is shared by several devices.
    ///
    /// Throws `unsupported_precision` where another is asked for.
    func shardForm(_ precision: Precision, floor: Double?, on kind: DeviceID.Kind, _ name: String) throws(ApusError) -> ServedForm? {
        guard let shape = parallel?.wished.shape, shape.tensor > 1 else { return nil }
        guard precision == .auto || precision == .fp32 else {
            throw ApusError(
                .unsupportedPrecision, "\(precision.rawValue) is not computed by devices that share each layer (\(shape)), only fp32", place: name,
                advice: "Use --precision fp32 or auto, or pipeline_parallel in place of tensor_parallel")
        }
        return ServedForm(
            PrecisionChoice(
                unmeasured: kind.networkForm, floor: floor ?? Precision.fp32.knownAnswerFloor, reason: "devices that share each layer compute in fp32"))
    }
}
