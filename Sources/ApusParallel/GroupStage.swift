import ApusErrors
import ApusExecution
import ApusTensor
import NIOConcurrencyHelpers

/// The ranks of one stage: runs a step on all of them at the same time, each on the lanes of its own executor.
///
/// Steps are given to all ranks in the same order, so that the oldest step has begun everywhere and none waits for one that waits for it.
final class GroupStage: Sendable {
    let index: Int
    let members: [any Executor]
    private let options: GroupOptions
    private let collectives: DeviceCollectives?
    /// For steps that are not to take the members' lanes: known answers.
    private let beside: [LaneThreads]
    private let state: NIOLockedValueBox<State>

    private struct State {
        /// Communicators that no step uses.
        var free: [Communicator] = []
        /// Those of the steps under way.
        var used: [Communicator] = []
        var ranks: [Work]
    }

    struct Work {
        var busyNanoseconds = 0
        var waitedNanoseconds = 0
        var steps = 0
    }

    init(_ index: Int, _ members: [any Executor], _ options: GroupOptions, _ collectives: DeviceCollectives?) {
        self.collectives = collectives
        self.index = index
        self.members = members
        self.options = options
        beside = members.indices.map { LaneThreads(count: 1, name: "apus-beside-\(index)-\($0)") }
        state = NIOLockedValueBox(State(ranks: Array(repeating: Work(), count: members.count)))
    }

    /// What each rank has done so far.
    var work: [Work] { state.withLockedValue { $0.ranks } }

    /// Starts `step`, which answers by itself. Throws `out_of_memory`.
    func start(_ step: StageStep, isBeside: Bool) throws(ApusError) {
        let ranks = step.models.count
        // The lock is held while all ranks are given the step.
        let started = state.withLockedValue { state in
            Result { () throws(ApusError) in
                var communicator: Communicator?
                if ranks > 1 {
                    communicator = state.free.popLast()
                    if communicator == nil { communicator = try Communicator(ranks: ranks, timeout: options.sumTimeout, collectives) }
                }
                if let communicator { state.used.append(communicator) }
                for rank in 0..<ranks {
                    let work: @Sendable () -> Void = { [communicator] in self.run(step, rank, communicator) }
                    if isBeside { beside[rank].submit(work) } else { members[rank].submit(work) }
                }
            }
        }
        try started.get()
    }

    private func run(_ step: StageStep, _ rank: Int, _ communicator: Communicator?) {
        guard !step.isOver else {
            // Nobody wants the answer, and ranks that began before the step was over were told.
            return ended(step, rank, communicator, .failure(ApusError(.cancelled, "the step had ended")))
        }
        let began = options.now()
        let (result, waited) =
            if let communicator {
                communicator.run(as: rank) { () throws(ApusError) in try step.run(rank) }
            } else {
                (Result { () throws(ApusError) in try step.run(rank) }, 0)
            }
        let busy = options.now() - began
        state.withLockedValue { state in
            state.ranks[rank].busyNanoseconds += busy
            state.ranks[rank].waitedNanoseconds += waited
            if case .success = result { state.ranks[rank].steps += 1 }
        }
        ended(step, rank, communicator, result)
    }

    private func ended(
        _ step: StageStep, _ rank: Int, _ communicator: Communicator?, _ result: Result<[HostTensor], ApusError>
    ) {
        if case .failure(let error) = result {
            step.fail(failure(error, rank, communicator))
            communicator?.abort("rank \(rank) on \(members[rank].device) failed: \(error.message)")
        }
        let end = step.ended(rank, result)
        guard let end, let communicator else { return }
        state.withLockedValue { state in
            state.used.removeAll { $0 === communicator }
            // One that was called off is of no use to another step.
            if end == .well { state.free.append(communicator) }
        }
    }

    /// Wakes whoever waits for other ranks.
    func abort(_ reason: String) {
        for communicator in state.withLockedValue({ $0.used }) { communicator.abort(reason) }
    }

    /// What is told about a rank's failure. Who waited for a rank in vain names that one.
    private func failure(_ error: ApusError, _ rank: Int, _ communicator: Communicator?) -> GroupFailure {
        if let absent = communicator?.missing.first, members.indices.contains(absent) {
            return GroupFailure(
                ApusError(.deviceHung, "it did not come to add up what the stage's ranks had computed", cause: error),
                device: members[absent].device, stage: index, rank: absent)
        }
        return GroupFailure(error, device: members[rank].device, stage: index, rank: rank)
    }

    func close() {
        for lane in beside { lane.close() }
    }
}
