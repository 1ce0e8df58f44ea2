import ApusBatching
import ApusErrors
import ApusExecution
import ApusTensor

/// What becomes of the inputs of a batch that failed. Pure: events in, a plan out.
///
/// - A device that is out of memory, or an engine that refuses a batch, leaves the process alive: halves are tried, so that a bad
///   input ends up alone after a few cheap runs.
/// - A batch that ended its worker is taken apart at once, since every wrong half would cost another worker. Its inputs run again one at
///   a time with the device to themselves, so that the next death has one reason: what was there both times is refused from then on.
/// - Nobody's fault (a worker killed from outside, a device that fell off the bus): the batch runs again as it was.
struct FailedBatch<Input: BatchInput> {
    /// How often a input goes back through no fault of its own before its caller is told.
    static var mostReplays: Int { 8 }
    /// Batches that ended their worker with a input in them, after which the input is refused.
    static var quarantineSuspicion: Int { 2 }
    /// Times that a input may fail alone on one device.
    static var mostTries: Int { 3 }

    /// Groups that run again, each as one batch.
    private(set) var replays: [[PendingInput<Input>]] = []
    /// Sequences that end here.
    private(set) var failures: [(PendingInput<Input>, ApusError)] = []
    /// Those of ``failures`` that are never to run again.
    private(set) var quarantined: [PendingInput<Input>] = []
    private(set) var blame = BatchReport.Blame.device
    /// Whether the replays should run on another device if there is one.
    private(set) var avoidsDevice = true
    private let hasChoice: Bool
    /// Whether the replays share their device with anything.
    private(set) var company = BatchPlanner.Company.any

    /// - Parameter hasChoice: whether there is another device to try.
    init(_ inputs: [PendingInput<Input>], on device: DeviceID, _ error: ApusError, hasChoice: Bool) {
        self.hasChoice = hasChoice
        switch error.deviceFailure ?? .engine {
        case .outOfMemory:
            // A batch that was too large says little about the device; one input that does not fit does.
            blame = inputs.count > 1 ? .nobody : .device
            halve(inputs, device, error)
        case .engine:
            blame = .nobody
            halve(inputs, device, error)
        case .sticky, .crashed, .hung:
            separate(inputs, device, error)
        case .killed:
            blame = .nobody
            repeatWhole(inputs, error)
        case .unavailable:
            // It never started, so it costs nobody a try.
            blame = .nobody
            replays = [inputs]
        case .lost:
            repeatWhole(inputs, error)
        }
    }

    private mutating func halve(_ inputs: [PendingInput<Input>], _ device: DeviceID, _ error: ApusError) {
        if inputs.count > 1 {
            avoidsDevice = false
            let middle = inputs.count / 2
            let tried = inputs.map { input in
                var input = input
                input.history.failedInCompany = true
                return input
            }
            replays = [Array(tried[..<middle]), Array(tried[middle...])]
        } else if var alone = inputs.first {
            alone.history.tries += 1
            // With one device it is known well enough when it spoilt larger and larger batches and now fails by itself.
            let isKnown = alone.history.failedInCompany && !hasChoice
            if isKnown || alone.history.tries >= Self.mostTries || alone.history.failedAlone.map({ $0 != device }) ?? false {
                blame = .input
                failures = [(alone, error)]
            } else {
                alone.history.failedAlone = device
                replays = [[alone]]
            }
        }
    }

    private mutating func separate(_ inputs: [PendingInput<Input>], _ device: DeviceID, _ error: ApusError) {
        // The device's fault until an input is found guilty, which then takes the blame back: see `excuse`.
        company = .none
        for var input in inputs {
            input.history.endedWorkersOf.append(device)
            guard input.history.endedWorkersOf.count >= Self.quarantineSuspicion else {
                replays.append([input])
                continue
            }
            blame = .input
            quarantined.append(input)
            failures.append((input, error))
        }
    }

    private mutating func repeatWhole(_ inputs: [PendingInput<Input>], _ error: ApusError) {
        let again = inputs.map { input in
            var input = input
            input.history.replays += 1
            return input
        }
        let tired = again.filter { $0.history.replays > Self.mostReplays }
        failures = tired.map { ($0, error) }
        replays = [again.filter { $0.history.replays <= Self.mostReplays }].filter { !$0.isEmpty }
    }
}

extension ApusError {
    /// What a caller is told whose input ends workers.
    static func quarantined(row: Int, cause: ApusError? = nil) -> ApusError {
        ApusError(
            .requestQuarantined, "the input ended the process that computed it more than once and is not tried again",
            place: "input[\(row)]",
            advice: "Send the other inputs without it, and report the input to whoever runs this server", cause: cause)
    }
}
