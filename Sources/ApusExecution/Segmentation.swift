package import ApusErrors

/// How a network that is cut into segments runs on one device: one segment after the other, so that what one computes in is free again
/// before the next begins.
package struct Segmentation: Sendable, Hashable {
    package enum Residency: String, Sendable, CaseIterable {
        /// All segments stay loaded. A chunk of the batch goes through all of them before the next chunk begins.
        case resident
        /// One segment is loaded at a time: the whole batch goes through it, chunk by chunk, then the next is read from the checkpoint.
        case offloaded
        /// As ``offloaded``, and the next segment is read while one computes: two are in memory.
        case prefetched

        /// Segments whose weights are in memory at a time; nil for all.
        package var loadedSegments: Int? {
            switch self {
            case .resident: nil
            case .offloaded: 1
            case .prefetched: 2
            }
        }
    }

    /// Segments, 1 or more.
    package let count: Int
    package let residency: Residency
    /// Padded tokens of a batch that are computed at a time, 1 or more. A longer sequence is computed alone.
    package let chunkTokens: Int

    /// - Throws: `unsupported_plan` for less than one segment or token.
    package init(count: Int, residency: Residency = .resident, chunkTokens: Int) throws(ApusError) {
        guard count >= 1 else { throw ApusError(.unsupportedPlan, "a network cannot be cut into \(count) segments", place: "segments") }
        guard chunkTokens >= 1 else {
            throw ApusError(.unsupportedPlan, "a chunk of \(chunkTokens) tokens holds no text", place: "segments")
        }
        self.count = count
        self.residency = residency
        self.chunkTokens = chunkTokens
    }
}

/// A network that was cut into segments, each of which can be written over and over.
package protocol SegmentedNetwork: Sendable {
    /// The segments in the order in which they run.
    var slices: [NetworkSlice] { get }
    /// What a step of the whole network is given. Segments are given what a chunk makes of it.
    var inputs: [ValueDescription] { get }

    /// Writes one of ``slices``. Blocks.
    func graph(_ slice: NetworkSlice) throws(ApusError) -> DescribedGraph

    /// Cuts the inputs of a step into chunks of whole sequences, in their order. Throws `engine_failure` for tensors that are no inputs of it.
    ///
    /// - Parameter tokens: padded tokens that a chunk of more than one sequence has at most.
    func chunks(of tensors: [String: HostTensor], atMost tokens: Int) throws(ApusError) -> [any SegmentChunk]
}

/// Some sequences of a batch.
package protocol SegmentChunk: Sendable {
    var sequences: Int { get }

    /// Those of `inputs` that are made from the tokens; hidden states are not.
    func tensors(for inputs: [ValueDescription]) -> [String: HostTensor]
}
