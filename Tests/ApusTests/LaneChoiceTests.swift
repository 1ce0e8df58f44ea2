import Apus
import ApusDevices
import ApusExecution
import ApusFleet
import ApusTensor
import Testing

@Suite struct LaneChoiceTests {
    private func member(_ kind: DeviceID.Kind, cores: Int) -> FleetPlan.Member {
        let device = DeviceID(kind, 0)
        return FleetPlan.Member(ExecutorSettings(device: device, lanes: cores, engineLibrary: "engine"), info: GPUInfo(device: device, name: "Test"))
    }

    private func measured(_ scores: [Double]) -> [SpeedTrials.Arrangement] {
        zip(SpeedTrials.ways(of: member(.cpu, cores: 8)), scores).map { SpeedTrials.Arrangement(member: $0, textsPerSecond: $1) }
    }

    @Test(arguments: [(2, [2, 1]), (3, [3, 1]), (4, [4, 2, 1]), (9, [9, 4, 1])])
    func `Every way uses all cores, and a lane for each comes first`(cores: Int, lanes: [Int]) {
        let ways = SpeedTrials.ways(of: member(.cpu, cores: cores))
        #expect(ways.map(\.settings.lanes) == lanes)
        #expect(ways.allSatisfy { $0.settings.lanes + $0.settings.helpers == cores })
    }

    @Test func `A way has the same alternatives as the usual one`() throws {
        let ways = SpeedTrials.ways(of: member(.cpu, cores: 4))
        for way in ways { #expect(SpeedTrials.ways(of: way).map(\.settings) == ways.map(\.settings)) }
    }

    @Test func `One core and accelerators leave nothing to choose`() {
        #expect(SpeedTrials.ways(of: member(.cpu, cores: 1)).isEmpty)
        #expect(SpeedTrials.ways(of: member(.cuda, cores: 2)).isEmpty)
        #expect(SpeedTrials.ways(of: member(.sim, cores: 2)).isEmpty)
    }

    @Test(arguments: [([100, 104, 90], 8), ([100, 106, 90], 4), ([100, 106, 120], 1), ([100, 50, 20], 8), ([100, 105, 105], 4)])
    func `A lane for each core stays unless another way is clearly faster`(scores: [Double], lanes: Int) throws {
        #expect(try #require(SpeedTrials.best(of: measured(scores))).member.settings.lanes == lanes)
    }

    @Test func `A plan takes what was measured and says so`() throws {
        let inventory = Inventory(
            cpu: CPUTopology(cores: (0..<2).map { CPUTopology.Core(number: $0) }, modelName: "Test CPU"), gpus: [],
            gpuAbsence: "this machine has no NVIDIA driver", engineProviders: ["CPUExecutionProvider"], simulation: .allowed)
        let plan = try FleetPlanner(DeviceWishes(), inventory, engineLibrary: "engine").plan()
        let usual = try plan.sharingCores { $0 }
        #expect(usual.notes == plan.notes && usual.fleet.members.map(\.settings) == plan.fleet.members.map(\.settings))
        let other = try plan.sharingCores { SpeedTrials.ways(of: $0)[1] }
        #expect(other.fleet.members.map(\.settings.lanes) == [1] && other.fleet.members.map(\.settings.helpers) == [1])
        #expect(other.notes.count == plan.notes.count + 1)
    }
}
