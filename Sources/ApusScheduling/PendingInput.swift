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

    /// What one more who waits changes for the planner.
    enum Change {
        case none
        case moreUrgent(Priority, deadline: Int?)
    }

    /// More than these run an input of their own, so that nobody's answer holds up a lane and admission sees them.
    private static var mostAskers: Int { 256 }

    let id: Int
    let input: Input
    let enqueued: Int
    var askers: [Asker]
    var history = History()
    var isRunning = false
    /// Of the most urgent who waited.
    private(set) var priority: Priority
    /// Of the most patient who waited; nil for ever.
    private(set) var deadline: Int?

    init(id: Int, input: Input, asker: Asker) {
        self.id = id
        self.input = input
        enqueued = asker.enqueued
        askers = [asker]
        priority = asker.priority
        deadline = asker.deadline
    }

    /// As the planner knows it.
    var item: BatchPlanner.Item {
        BatchPlanner.Item(id: id, tokens: input.tokens, deadline: deadline, priority: priority, client: askers.first?.client ?? 0)
    }

    /// Somebody else asks for the same; nil when too many do.
    mutating func join(_ asker: Asker) -> Change? {
        guard askers.count < Self.mostAskers else { return nil }
        askers.append(asker)
        let before = (priority, deadline)
        priority = min(priority, asker.priority)
        if let own = deadline, let other = asker.deadline { deadline = max(own, other) } else { deadline = nil }
        return isRunning || before == (priority, deadline) ? Change.none : .moreUrgent(priority, deadline: deadline)
    }
}
