import ApusErrors
import ApusExecution
import ApusORT
import Foundation

/// A model of which one segment's weights are in memory at a time, or two where the next is read while one computes: each step streams all
/// of them from the mapped checkpoint. The whole batch goes through a segment before the next, so that the hidden states of the batch stay in
/// memory and the weights are read once for all of it.
///
/// Steps come one after the other, however many lanes ask: two at once would each need a segment of its own. A step's chunks are spread over
/// as many threads instead as the device has lanes.
final class OffloadedModel: LoadedModel {
    let inputs: [ValueDescription]
    let outputs: [ValueDescription]
    let assignment: NodeAssignment
    var buffers: SharedBuffers { loader.buffers }
    private let loader: SegmentLoader
    /// Compute beside the lane that a step runs on.
    private let helpers: LaneThreads?
    /// Reads the next segment.
    private let reader: LaneThreads?
    private let turn = NSLock()

    /// Loads every segment once, one after the other, so that what cannot be loaded is known at once.
    init(_ loader: SegmentLoader) throws(ApusError) {
        self.loader = loader
        inputs = loader.network.inputs
        var outputs: [ValueDescription] = []
        var assignments: [NodeAssignment] = []
        for slice in loader.network.slices {
            let segment = try loader.open(slice)
            outputs = segment.outputs
            assignments.append(segment.assignment)
            Engine.returnFreedPages()
        }
        self.outputs = outputs
        assignment = NodeAssignment(joining: assignments)
        helpers = loader.lanes > 1 ? LaneThreads(count: loader.lanes - 1, name: "apus-chunk") : nil
        reader = loader.segmentation.residency == .prefetched ? LaneThreads(count: 1, name: "apus-segment") : nil
    }

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        turn.lock()
        defer { turn.unlock() }
        let chunks = try loader.network.chunks(of: tensors, atMost: loader.segmentation.chunkTokens)
        let states = ChunkStates(chunks)
        let slices = loader.network.slices
        var upcoming: ArrivingSegment?
        for (place, slice) in slices.enumerated() {
            let arriving = upcoming ?? read(slice)
            let isLast = place + 1 == slices.count
            upcoming = reader == nil || isLast ? nil : read(slices[place + 1])
            // Nobody else holds the segment: it goes with the call.
            try compute(try arriving.segment(), states)
            Engine.returnFreedPages()
        }
        return try loader.joined(states.results)
    }

    /// Takes all chunks one segment further.
    private func compute(_ segment: SessionModel, _ states: ChunkStates) throws(ApusError) {
        let pass = states.beginPass()
        let loader = loader
        let work: @Sendable () -> Void = {
            while let place = pass.next() {
                do throws(ApusError) {
                    states.put(try loader.run(segment, states.chunks[place], states.take(place)), at: place)
                } catch {
                    pass.fail(error)
                }
            }
        }
        let group = DispatchGroup()
        if let helpers {
            for _ in 1..<max(1, min(loader.lanes, states.chunks.count)) {
                group.enter()
                helpers.submit {
                    work()
                    group.leave()
                }
            }
        }
        work()
        group.wait()
        if let failure = pass.failure { throw failure }
    }

    /// Has a segment read on the reader's thread; without one it is read when it is asked for.
    private func read(_ slice: NetworkSlice) -> ArrivingSegment {
        let loader = loader
        let arriving = ArrivingSegment { () throws(ApusError) in try loader.open(slice) }
        if let reader { reader.submit(arriving.load) }
        return arriving
    }
}

/// A segment that is being read, or is to be.
private final class ArrivingSegment: @unchecked Sendable {
    // `result` is guarded by `lock`.
    private let lock = NSLock()
    private var result: Result<SessionModel, ApusError>?
    private let open: @Sendable () throws(ApusError) -> SessionModel

    init(_ open: @escaping @Sendable () throws(ApusError) -> SessionModel) {
        self.open = open
    }

    /// Reads it unless that was done. Waits for who does it now.
    @Sendable func load() {
        lock.withLock {
            if result == nil { result = Result { () throws(ApusError) in try open() } }
        }
    }

    /// The segment, which the caller alone holds from now on. Asked for once.
    func segment() throws(ApusError) -> SessionModel {
        load()
        let result = lock.withLock {
            let result = self.result
            self.result = nil
            return result
        }
        guard let result else { throw ApusError(.engineFailure, "the segment has gone") }
        return try result.get()
    }
}
