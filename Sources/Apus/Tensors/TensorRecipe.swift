import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// How a model of any tensors comes onto a device: proven by generated items against the plain graph on the CPU.
struct TensorRecipe: ModelRecipe {
    let name: String
    let file: ONNXFile
    /// Nil where the plain graph does not run on the CPU.
    let answer: TensorAnswer?
    let optimization: LoadRequest.Optimization
    /// For groups of devices; nil where there are none.
    var cuts: StageCuts?

    func served(on device: DeviceID) -> ServedForm { ServedForm(file: file.precision) }

    func load(onto executor: any Executor, _ segmentation: Segmentation?) async throws(ApusError) -> TensorWork {
        let stages = if let group = executor.group { try stages(for: group) } else { [Range<Int>]() }
        let model = try await executor.load(LoadRequest(name: name, source: .file(file.path), optimization: optimization, stages: stages))
        return try TensorWork(model, name: name)
    }

    private func stages(for shape: GroupShape) throws(ApusError) -> [Range<Int>] {
        guard let cuts else { throw ApusError(.unsupportedPlan, "nothing says where the network is cut for \(shape)", place: name) }
        return try cuts.stages(for: shape)
    }

    func shares(in shape: GroupShape) throws(ApusError) -> [GroupShare] {
        guard let cuts else { return shape.devices.flatMap(\.self).map { GroupShare(device: $0) } }
        return try cuts.shares(in: shape)
    }

    /// Without a reference, items in a batch are compared with each alone, on the device itself.
    func lowestCosine(of work: TensorWork) throws(ApusError) -> Double? {
        if let answer { return try answer.lowestCosine(work) }
        return try TensorAnswer.compute(work).lowestCosine(work)
    }
}
