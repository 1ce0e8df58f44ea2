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

    func served(on device: DeviceID) -> ServedForm { ServedForm(file: file.precision) }

    func load(onto executor: any Executor, _ segmentation: Segmentation?) async throws(ApusError) -> TensorWork {
        let model = try await executor.load(LoadRequest(name: name, source: .file(file.path), optimization: optimization))
        return try TensorWork(model, name: name)
    }

    /// Without a reference, items in a batch are compared with each alone, on the device itself.
    func lowestCosine(of work: TensorWork) throws(ApusError) -> Double? {
        if let answer { return try answer.lowestCosine(work) }
        return try TensorAnswer.compute(work).lowestCosine(work)
    }
}
