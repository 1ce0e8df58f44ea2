import ApusBatching
import ApusTensor

/// One input on its way through the batches, and everybody who waits for what becomes of it.
struct PendingInput<Input: BatchInput>: Sendable {
    /// One row of one request.
    struct Asker: Sendable {
        let request: Int
        let row: Int
        let enqueued: Int
        let deadline: Int?
        let priority: Priority
        let client: Int
    }

    /// What became of it so far.
    struct History: Sendable {
        /// The devices whose workers ended by their own doing with it in their batch.
        var endedWorkersOf: [DeviceID] = []
        /// How often it went back for a reason of which it is innocent.
        var replays = 0
        /// How often it failed alone, with errors that leave the worker alive.
        var tries = 0
        /// Whether it was in a larger batch that failed so.
        var failedInCompany = false
        /// Where it failed alone, with an error that another device may not share.
        var failedAlone: DeviceID?
    }

    let id: Int
    let input: Input
    let enqueued: Int
    var askers: [Asker]
    var history = History()
    var isRunning = false

    init(id: Int, input: Input, asker: Asker) {
        self.id = id
        self.input = input
        enqueued = asker.enqueued
        askers = [asker]
    }

    /// As the planner knows it: as urgent as the most urgent who waits, for as long as the most patient.
    var item: BatchPlanner.Item {
        BatchPlanner.Item(
            id: id, tokens: input.tokens, deadline: deadline, priority: askers.map(\.priority).min() ?? .medium,
            client: askers.first?.client ?? 0)
    }

    var deadline: Int? {
        var latest = Int.min
        for asker in askers {
            guard let deadline = asker.deadline else { return nil }
            latest = max(latest, deadline)
        }
        return latest
    }
}
