import ApusDevices
import Foundation
import Testing

@Suite struct CPUTopologyTests {
    @Test func aPlainMachineOffersTheCoresOfItsAffinityMask() throws {
        let machine = try FileTree([
            "proc/self/status": "Name:\tapus\nCpus_allowed:\t00ff\nCpus_allowed_list:\t0-3,6\nMems_allowed:\t1\n",
            "proc/cpuinfo": "processor\t: 0\nvendor_id\t: X\nmodel name\t: Great CPU 9000: fast\nflags\t: a b\n",
            "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,2\n",
            "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "0,2\n",
        ])
        let topology = CPUTopology(root: machine.root)
        #expect(topology.coreNumbers == [0, 1, 2, 3, 6])
        #expect(topology.physicalCoreCount == 4)
        #expect(topology.quota == nil)
        #expect(topology.available == 5)
        #expect(topology.modelName == "Great CPU 9000: fast")
    }

    @Test(arguments: [
        // cgroup v2 at the root of a container's own namespace.
        (["sys/fs/cgroup/cpu.max": "150000 100000\n", "proc/self/cgroup": "0::/\n"], 1.5),
        (["sys/fs/cgroup/cpu.max": "max 100000\n", "proc/self/cgroup": "0::/\n"], nil),
        // A nested group's parent may be the tighter one.
        (
            [
                "sys/fs/cgroup/a/cpu.max": "200000 100000", "sys/fs/cgroup/a/b/cpu.max": "300000 100000",
                "proc/self/cgroup": "0::/a/b\n",
            ], 2
        ),
        // A path of the host, which is not mounted in the container: the mount's root counts.
        (["sys/fs/cgroup/cpu.max": "250000 100000", "proc/self/cgroup": "0::/kubepods/pod1\n"], 2.5),
        // cgroup v1, alone and together with its accounting, at the root and nested.
        (["sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"], 0.5),
        (["sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"], nil),
        (
            [
                "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "400000", "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000",
                "proc/self/cgroup": "4:memory:/y\n3:cpu,cpuacct:/x\n0::/\n",
            ], 4
        ),
        (
            [
                "sys/fs/cgroup/cpuacct,cpu/x/cpu.cfs_quota_us": "300000", "sys/fs/cgroup/cpuacct,cpu/x/cpu.cfs_period_us": "100000",
                "proc/self/cgroup": "3:cpuacct,cpu:/x\n",
            ], 3
        ),
        (["sys/fs/cgroup/cpu.max": "many 100000\n"], nil),
        (["sys/fs/cgroup/cpu.max": "0 0\n"], nil),
    ] as [([String: String], Double?)])
    func theSmallestCgroupLimitHolds(files: [String: String], quota: Double?) throws {
        let machine = try FileTree(files.merging(["proc/self/status": "Cpus_allowed_list: 0-7\n"]) { $1 })
        let topology = CPUTopology(root: machine.root)
        #expect(topology.quota == quota)
        #expect(topology.available == max(1, min(8, quota.map { Int($0) } ?? 8)))
    }

    @Test(arguments: ["", "Cpus_allowed_list: \n", "Cpus_allowed_list: 3-1\n", "Cpus_allowed_list: 0-999999999999\n", "Cpus_allowed_list: a\n"])
    func anUnreadableMaskLeavesTheCoresThatAreOnline(status: String) throws {
        let machine = try FileTree(["proc/self/status": status])
        #expect(CPUTopology(root: machine.root).cores.count == ProcessInfo.processInfo.activeProcessorCount)
    }

    @Test func thisMachineHasCores() {
        let topology = CPUTopology.current
        #expect((1...topology.cores.count).contains(topology.available))
        #expect((1...topology.cores.count).contains(topology.physicalCoreCount))
    }

    @Test func twoDevicesOnTwoCoresHaveOneEach() {
        let topology = CPUTopology(cores: [.init(number: 0), .init(number: 1)])
        #expect(
            topology.partition(into: 2) == [
                CoreSet(cores: [0], width: 1, isShared: false), CoreSet(cores: [1], width: 1, isShared: false),
            ])
    }

    @Test func threeDevicesOnTwoCoresShareThemAndSaySo() {
        let topology = CPUTopology(cores: [.init(number: 4), .init(number: 5)])
        let sets = topology.partition(into: 3)
        #expect(sets.map(\.cores) == [[4], [5], [4]])
        #expect(sets.allSatisfy { $0.isShared && $0.width == 1 })
    }

    @Test func siblingsStayTogetherWhileThereArePhysicalCoresEnough() {
        let cores = (0..<8).map { CPUTopology.Core(number: $0, sibling: $0 % 4) }
        let topology = CPUTopology(cores: cores)
        #expect(topology.partition(into: 2).map(\.cores) == [[0, 1, 4, 5], [2, 3, 6, 7]])
        #expect(topology.partition(into: 3).map(\.cores) == [[0, 1, 4, 5], [2, 6], [3, 7]])
        #expect(topology.partition(into: 8).map(\.cores) == (0..<8).map { [$0] })
    }

    @Test func aBandwidthLimitBoundsTheThreadsAndNotTheCores() {
        let topology = CPUTopology(cores: (0..<16).map { .init(number: $0) }, quota: 5.9)
        let sets = topology.partition(into: 2)
        #expect(sets.map(\.width) == [3, 2])
        #expect(sets.map(\.cores.count) == [8, 8])
        #expect(sets.allSatisfy { !$0.isShared })
        #expect(topology.partition(into: 6).allSatisfy { $0.isShared && $0.width == 1 })
    }

    @Test func partitionsAreDisjointCompleteAndEvenWhileThereAreCoresEnough() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2_000 {
            let count = Int.random(in: 1...48, using: &random)
            let threads = Int.random(in: 1...2, using: &random)
            let numbers = Array(0..<96).shuffled(using: &random).prefix(count)
            let quota: Double? = Bool.random(using: &random) ? Double.random(in: 0.1...64, using: &random) : nil
            let topology = CPUTopology(cores: numbers.map { .init(number: $0, sibling: $0 / threads) }, quota: quota)
            let wanted = Int.random(in: -1...64, using: &random)
            let sets = topology.partition(into: wanted)
            let all = sets.flatMap(\.cores)

            #expect(sets.count == max(1, wanted))
            #expect(sets.allSatisfy { !$0.cores.isEmpty && $0.cores == $0.cores.sorted() && (1...$0.cores.count).contains($0.width) })
            #expect(Set(all).isSubset(of: numbers))
            #expect(sets.allSatisfy { $0.isShared == (sets.count > topology.available) })
            if sets.count <= count {
                #expect(Set(all).count == all.count && all.count == count)
                let sizes = sets.map(\.cores.count)
                if threads == 1 { #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1) }
            }
            if sets.count <= topology.available {
                #expect(sets.reduce(0) { $0 + $1.width } <= topology.available)
            }
        }
    }
}
