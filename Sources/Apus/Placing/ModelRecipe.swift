import ApusErrors
import ApusExecution
import ApusScheduling
import ApusTensor

/// How a model comes onto a device, and how it proves itself there.
protocol ModelRecipe: Sendable {
    associatedtype Work: BatchWork

    /// Loads the model onto `executor`, cut as `segmentation` says; nil for whole. Throws the model's own errors and the device's failures.
    func load(onto executor: any Executor, _ segmentation: Segmentation?) async throws(ApusError) -> Work

    /// What each device of a group holds of the model. Throws `unsupported_plan` where a group cannot have it.
    func shares(in shape: GroupShape) throws(ApusError) -> [GroupShare]

    /// What the model runs as on `device`.
    func served(on device: DeviceID) -> ServedForm

    /// The lowest cosine of what `work` computes to what it should; nil for an answer that cannot be compared. Blocks the calling thread, which
    /// is none of Swift's cooperative pool.
    func lowestCosine(of work: Work) throws(ApusError) -> Double?
}
