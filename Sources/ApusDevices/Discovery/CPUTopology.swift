/// The cores that this process may compute on, and how many of them at once.
package struct CPUTopology: Sendable, Equatable {
    /// One logical core.
    package struct Core: Sendable, Equatable {
        /// The kernel's number.
        package var number: Int
        /// The lowest number among the logical cores that share its physical core; its own where the kernel does not tell.
        package var sibling: Int

        package init(number: Int, sibling: Int? = nil) {
            self.number = number
            self.sibling = sibling ?? number
        }
    }

    /// Cores of the affinity mask in the order of their numbers; never empty.
    package let cores: [Core]
    /// The cgroup's CPU bandwidth in cores, the smallest of the nested groups; nil without a limit.
    package let quota: Double?
    /// `AMD EPYC 9B45`; nil where the kernel does not tell.
    package let modelName: String?

    /// - Parameter cores: in any order; duplicates are dropped. None stands for one core, number 0.
    package init(cores: [Core], quota: Double? = nil, modelName: String? = nil) {
        var seen: Set<Int> = []
        let unique = cores.filter { seen.insert($0.number).inserted }.sorted { $0.number < $1.number }
        self.cores = unique.isEmpty ? [Core(number: 0)] : unique
        self.quota = quota
        self.modelName = modelName
    }

    package var coreNumbers: [Int] { cores.map(\.number) }

    package var physicalCoreCount: Int { Set(cores.map(\.sibling)).count }

    /// How many threads can compute at the same time: the cores of the mask, further limited by the whole cores of ``quota``; at least 1.
    package var available: Int {
        guard let quota, quota < Double(cores.count) else { return cores.count }
        return max(1, Int(max(quota, 0)))
    }
}
