package import ApusErrors

/// What can share batches with others of its kind.
package protocol BatchInput: Sendable {
    associatedtype Identity: Hashable, Sendable
    /// What it weighs against a batch's token budget, at least 1.
    var tokens: Int { get }
    /// Equal for inputs of equal results, which are then computed once; nil where telling costs more than it saves.
    var identity: Identity? { get }
}

/// A model on one device: turns batches of inputs into outputs.
package protocol BatchWork: Sendable {
    associatedtype Input: BatchInput
    associatedtype Output: Sendable
    /// Whether a step brings its inputs to the length of the longest, so that padding is computed and takes memory.
    var pads: Bool { get }

    /// Runs one step on the calling thread, a lane's, and gives one output for each input in their order. Throws `engine_failure`,
    /// `out_of_memory` and the device's own failures.
    func run(_ inputs: [Input]) throws(ApusError) -> [Output]
}

extension BatchWork {
    package var pads: Bool { true }
}
