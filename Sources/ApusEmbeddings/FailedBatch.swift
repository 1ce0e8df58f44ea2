import ApusBatching
import ApusErrors
import ApusExecution
import ApusTensor

/// What becomes of the sequences of a batch that failed. Pure: events in, a plan out.
///
/// - A device that is out of memory, or an engine that refuses a batch, leaves the process alive: halves are tried, so that a bad
///   sequence ends up alone after a few cheap runs.
/// - A batch that ended its worker is taken apart at once, since every wrong half would cost another worker. Its sequences run again one at
///   a time with the device to themselves, so that the next death has one reason: what was there both times is refused from then on.
/// - Nobody's fault (a worker killed from outside, a device that fell off the bus): the batch runs again as it was.
struct FailedBatch {
    /// How often a sequence goes back through no fault of its own before its caller is told.
    static let mostReplays = 8
    /// Batches that ended their worker with a sequence in them, after which the sequence is refused.
    static let quarantineSuspicion = 2
    /// Times that a sequence may fail alone on one device.
    static let mostTries = 3

    /// Groups that run again, each as one batch.
    private(set) var replays: [[PendingSequence]] = []
    /// Sequences that end here.
    private(set) var failures: [(PendingSequence, ApusError)] = []
    /// Those of ``failures`` that are never to run again.
    private(set) var quarantined: [PendingSequence] = []
    private(set) var blame = BatchReport.Blame.device
    /// Whether the replays should run on another device if there is one.
    private(set) var avoidsDevice = true
    /// Whether the replays share their device with anything.
    private(set) var company = BatchPlanner.Company.any

    init(_ sequences: [PendingSequence], on device: DeviceID, _ error: ApusError) {
        switch error.deviceFailure ?? .engine {
        case .outOfMemory:
            // A batch that was too large says little about the device; one sequence that does not fit does.
            blame = sequences.count > 1 ? .nobody : .device
            halve(sequences, device, error)
        case .engine:
            blame = .nobody
            halve(sequences, device, error)
        case .sticky, .crashed, .hung:
            separate(sequences, device, error)
        case .killed:
            blame = .nobody
            repeatWhole(sequences, error)
        case .unavailable:
            // It never started, so it costs nobody a try.
            blame = .nobody
            replays = [sequences]
        case .lost:
            repeatWhole(sequences, error)
        }
    }

    private mutating func halve(_ sequences: [PendingSequence], _ device: DeviceID, _ error: ApusError) {
        if sequences.count > 1 {
            avoidsDevice = false
            let middle = sequences.count / 2
            replays = [Array(sequences[..<middle]), Array(sequences[middle...])]
        } else if var alone = sequences.first {
            alone.tries += 1
            if alone.tries >= Self.mostTries || alone.failedAlone.map({ $0 != device }) ?? false {
                blame = .input
                failures = [(alone, error)]
            } else {
                alone.failedAlone = device
                replays = [[alone]]
            }
        }
    }

    private mutating func separate(_ sequences: [PendingSequence], _ device: DeviceID, _ error: ApusError) {
        // The device's fault until a sequence is found guilty, which then takes the blame back: see `excuse`.
        company = .none
        for var sequence in sequences {
            sequence.endedWorkersOf.append(device)
            guard sequence.endedWorkersOf.count >= Self.quarantineSuspicion else {
                replays.append([sequence])
                continue
            }
            blame = .input
            quarantined.append(sequence)
            failures.append((sequence, Self.refusal(row: sequence.row, cause: error)))
        }
    }

    private mutating func repeatWhole(_ sequences: [PendingSequence], _ error: ApusError) {
        let again = sequences.map { sequence in
            var sequence = sequence
            sequence.replays += 1
            return sequence
        }
        let tired = again.filter { $0.replays > Self.mostReplays }
        failures = tired.map { ($0, error) }
        replays = [again.filter { $0.replays <= Self.mostReplays }].filter { !$0.isEmpty }
    }

    /// What a caller is told whose input ends workers.
    static func refusal(row: Int, cause: ApusError? = nil) -> ApusError {
        ApusError(
            .requestQuarantined, "the input ended the process that computed it more than once and is not tried again",
            place: "input[\(row)]",
            advice: "Send the other inputs without it, and report the input to whoever runs this server", cause: cause)
    }
}
