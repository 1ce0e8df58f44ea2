import ApusBatching
import ApusGraph
import ApusTensor

/// A sequence that waits for its batch, with what became of it so far.
struct PendingSequence: Sendable {
    let id: Int
    let sequence: EncoderBatch.Sequence
    let request: Int
    /// Its place in the request.
    let row: Int
    let enqueued: Int
    let deadline: Int?
    /// The devices whose workers ended by their own doing with it in their batch.
    var endedWorkersOf: [DeviceID] = []
    /// How often it went back for a reason of which it is innocent.
    var replays = 0
    /// How often it failed alone, with errors that leave the worker alive.
    var tries = 0
    /// Where it failed alone, with an error that another device may not share.
    var failedAlone: DeviceID?

    init(id: Int, sequence: EncoderBatch.Sequence, request: Int, row: Int, enqueued: Int, deadline: Int?) {
        self.id = id
        self.sequence = sequence
        self.request = request
        self.row = row
        self.enqueued = enqueued
        self.deadline = deadline
    }

    var item: BatchPlanner.Item { BatchPlanner.Item(id: id, tokens: sequence.ids.count, deadline: deadline) }
}
