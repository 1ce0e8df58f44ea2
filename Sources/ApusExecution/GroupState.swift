package import ApusTensor

/// What the devices of a group hold and have done. Counts go up from the group's start.
package struct GroupState: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var device: DeviceID
        package var memory: DeviceMemory
        /// Nanoseconds in steps, what it waited for other ranks included.
        package var busyNanoseconds: Int
        /// Nanoseconds of them that it waited for other ranks.
        package var waitedNanoseconds: Int
        /// Steps that ended well.
        package var steps: Int

        package init(
            _ device: DeviceID, memory: DeviceMemory = DeviceMemory(), busyNanoseconds: Int = 0, waitedNanoseconds: Int = 0, steps: Int = 0
        ) {
            self.device = device
            self.memory = memory
            self.busyNanoseconds = busyNanoseconds
            self.waitedNanoseconds = waitedNanoseconds
            self.steps = steps
        }
    }

    /// Ranks of each stage.
    package var stages: [[Member]]
    /// Nanoseconds in which at least one step was under way.
    package var activeNanoseconds: Int

    package init(stages: [[Member]], activeNanoseconds: Int) {
        self.stages = stages
        self.activeNanoseconds = activeNanoseconds
    }

    /// Nanoseconds that each stage was busy: those of its busiest rank.
    package var stageBusyNanoseconds: [Int] {
        stages.map { $0.reduce(0) { max($0, $1.busyNanoseconds) } }
    }

    /// The share of the stages' time in which they computed, while steps were under way, 0 to 1. A pipeline of s equal stages reaches
    /// m / (m + s - 1) with m steps (Huang et al. 2019, GPipe). 0 before the first step.
    package var utilization: Double {
        guard activeNanoseconds > 0, !stages.isEmpty else { return 0 }
        let busy = stageBusyNanoseconds.reduce(0.0) { $0 + Double($1) }
        return min(1, busy / (Double(activeNanoseconds) * Double(stages.count)))
    }

    /// The share of the stages' time that was lost to bubbles, 0 to 1: what is not ``utilization``. 0 before the first step.
    package var bubbleShare: Double { activeNanoseconds > 0 ? 1 - utilization : 0 }

    /// What has happened since `earlier`, a state of the same group. Memory is that of now.
    package func since(_ earlier: GroupState) -> GroupState {
        var state = self
        state.activeNanoseconds -= earlier.activeNanoseconds
        for (stage, ranks) in zip(stages.indices, earlier.stages) {
            for (rank, member) in zip(stages[stage].indices, ranks) {
                state.stages[stage][rank].busyNanoseconds -= member.busyNanoseconds
                state.stages[stage][rank].waitedNanoseconds -= member.waitedNanoseconds
                state.stages[stage][rank].steps -= member.steps
            }
        }
        return state
    }
}
