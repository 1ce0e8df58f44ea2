package import ApusErrors
package import ApusExecution
package import ApusTensor

/// Many devices as one: stages of ranks, of which every model has its layers on one stage after the other and, where a stage has several
/// ranks, a share of each of these layers on each rank.
///
/// A step goes from stage to stage; the ranks of a stage compute it at the same time, each on the lanes of its own executor. A stage takes the
/// next step as soon as it is free, so that as many steps as there are lanes are under way and stages overlap. What one stage hands to the
/// next stays where it is in the host's memory.
///
/// A failure ends the step in the whole group, and tells its device, stage and rank. The end of a device is the end of the group.
package final class GroupExecutor: Executor {
    package let device: DeviceID
    package let laneCount: Int
    let stages: [GroupStage]
    let life: GroupLife
    private let lanes: LaneThreads
    private let loader: LaneThreads

    /// - Parameters:
    ///   - members: the ranks of each stage. Ranks of one stage must be executors of this process, because they add up in its memory; stages
    ///     may be of any kind.
    ///   - device: what the group is called; the first member's device when nil.
    ///   - collectives: by which the ranks of a stage add up; nil, and for stages that are not in the list, in the host's memory.
    /// - Throws: `unsupported_plan` for a group that ``GroupShape`` refuses.
    package init(
        _ members: [[any Executor]], device: DeviceID? = nil, options: GroupOptions = GroupOptions(), collectives: [DeviceCollectives?] = []
    ) throws(ApusError) {
        let shape = try GroupShape(members.map { $0.map { GroupShape.Member($0.device) } })
        self.device = device ?? shape.stages[0][0].device
        stages = members.enumerated().map { place, ranks in
            GroupStage(place, ranks, options, collectives.indices.contains(place) ? collectives[place] : nil)
        }
        life = GroupLife(stages, options)
        laneCount = max(1, options.lanes ?? Self.lanes(stages: members.count))
        lanes = LaneThreads(count: laneCount, name: "apus-group", stackBytes: 1 << 20)
        loader = LaneThreads(count: 1, name: "apus-group-load", stackBytes: 1 << 20)
    }

    /// Steps that keep every stage busy: one in each, and one that waits, so that no stage waits for the way from a caller to the first.
    package static func lanes(stages: Int) -> Int { stages + 1 }

    /// The executors of each stage.
    package var members: [[any Executor]] { stages.map(\.members) }

    /// The devices of each stage.
    package var devices: [[DeviceID]] { stages.map { $0.members.map(\.device) } }

    package func submit(_ work: @escaping @Sendable () -> Void) {
        lanes.submit(work)
    }

    /// What `work` runs takes none of the members' lanes.
    package func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard !Task.isCancelled else { throw ApusError(.cancelled, "loading was called off") }
        try life.requireOpen()
        let result = await withCheckedContinuation { continuation in
            loader.submit {
                let result = GroupLife.$isBeside.withValue(true) { Result { () throws(ApusError) in try work() } }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    /// The sum over the members. Members on the CPU share the host's memory: the total of the largest counts once for all of them.
    package func memory() async throws(ApusError) -> DeviceMemory {
        var (sum, hostBytes) = (DeviceMemory(), 0)
        for member in try await membersState().stages.joined() {
            sum.allocatedBytes += member.memory.allocatedBytes
            sum.reservedBytes += member.memory.reservedBytes
            sum.maxAllocatedBytes += member.memory.maxAllocatedBytes
            sum.buffers = sum.buffers + member.memory.buffers
            sum.weights = sum.weights + member.memory.weights
            if member.device.kind.isAccelerator {
                sum.totalBytes += member.memory.totalBytes
            } else {
                hostBytes = max(hostBytes, member.memory.totalBytes)
            }
        }
        sum.totalBytes += hostBytes
        return sum
    }

    package func groupState() async throws(ApusError) -> GroupState? { try await membersState() }

    private func membersState() async throws(ApusError) -> GroupState {
        try life.requireOpen()
        let active = life.activeNanoseconds
        var states: [[GroupState.Member]] = []
        for stage in stages {
            var ranks: [GroupState.Member] = []
            for (rank, (member, work)) in zip(stage.members, stage.work).enumerated() {
                var memory = try await member.memory()
                if rank > 0, member.device.kind.computesOnCPU { memory.leaveMappedToFirstRank() }
                ranks.append(
                    GroupState.Member(
                        member.device, memory: memory, busyNanoseconds: work.busyNanoseconds,
                        waitedNanoseconds: work.waitedNanoseconds, steps: work.steps))
            }
            states.append(ranks)
        }
        return GroupState(stages: states, activeNanoseconds: active)
    }

    package func clearCache() async throws(ApusError) {
        try life.requireOpen()
        for member in stages.flatMap(\.members) { try await member.clearCache() }
    }

    package func profile(steps: Int, into directory: String) async throws(ApusError) {
        try life.requireOpen()
        for member in stages.flatMap(\.members) { try await member.profile(steps: steps, into: directory) }
    }

    /// Steps under way end with `device_unavailable`.
    package func shutdown() async {
        life.end(ApusError(.deviceUnavailable, "the executor of \(device) was shut down"))
        for member in stages.flatMap(\.members) { await member.shutdown() }
        for stage in stages { stage.close() }
        lanes.close()
        loader.close()
    }
}

extension DeviceMemory {
    /// Ranks of one process look rows up in the same pages of a file: they are in memory once, and counted on the first rank.
    fileprivate mutating func leaveMappedToFirstRank() {
        allocatedBytes = max(0, allocatedBytes - weights.mapped)
        reservedBytes = max(0, reservedBytes - weights.mapped)
        maxAllocatedBytes = max(0, maxAllocatedBytes - weights.mapped)
        weights.mapped = 0
    }
}
