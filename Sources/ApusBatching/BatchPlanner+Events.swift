extension BatchPlanner {
    /// One sequence that waits. The caller chooses `id`, unique among those waiting.
    package struct Item: Sendable, Equatable {
        package var id: Int
        package var tokens: Int
        /// Nanoseconds on the caller's clock after which nobody wants the answer; nil waits for ever.
        package var deadline: Int?
        package var priority: Priority
        /// Number of the API key it came with, 0 without one. Clients of a class share it fairly.
        package var client: Int

        package init(id: Int, tokens: Int, deadline: Int? = nil, priority: Priority = .medium, client: Int = 0) {
            self.id = id
            self.tokens = tokens
            self.deadline = deadline
            self.priority = priority
            self.client = client
        }

        func isExpired(_ now: Int) -> Bool {
            deadline.map { $0 <= now } ?? false
        }
    }

    /// Sequences that ran once without an answer and run again, in a batch of their own, or in several where they do not fit into one.
    package struct Replay: Sendable, Equatable {
        package var items: [Item]
        /// The device they came back from: its lanes are used only when there are no others.
        package var avoidedDevice: Int?
        package var company: Company

        package init(_ items: [Item], avoiding device: Int? = nil, company: Company = .any) {
            self.items = items
            avoidedDevice = device
            self.company = company
        }

        var tokens: Int { items.reduce(0) { $0.saturatingAdd($1.tokens) } }
    }

    /// What may run on a device beside a batch.
    package enum Company: Sendable, Equatable {
        case any
        /// Nothing: when the device fails, nothing else can be the reason.
        case none
    }

    /// Whether items begin a request or belong to one that was taken before.
    package enum Admission: Sendable {
        case new
        /// The beginning of a request, this `part` of it (above 0 to 1): the whole is weighed, the rest taken to be like it.
        case first(part: Double)
        /// Taken whatever waits: refusing the rest of a request would waste what was computed for it.
        case continuing
    }

    /// How a batch went that was computed to its end.
    package struct Outcome: Sendable, Equatable {
        package var shape: BatchShape
        /// Time on the lane.
        package var nanoseconds: Int
        /// From enqueue to answer, of each sequence that was answered.
        package var latencies: [Int]

        package init(shape: BatchShape, nanoseconds: Int, latencies: [Int] = []) {
            self.shape = shape
            self.nanoseconds = nanoseconds
            self.latencies = latencies
        }
    }

    package enum Action: Sendable, Equatable {
        /// Run these together on the lane, now.
        case launch(lane: Int, ids: [Int])
        /// Their deadline passed before they ran.
        case expire(ids: [Int])
        /// Call ``BatchPlanner/tick(now:)`` at this time on the caller's clock, a little early or late does no harm. Replaces a later wake
        /// that is still to come; a sooner one keeps.
        case wake(at: Int)
    }
}
