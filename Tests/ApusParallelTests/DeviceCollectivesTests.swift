import ApusErrors
import ApusExecution
import ApusParallel
import ApusTensor
import Testing

/// Groups of CUDA devices where there is no GPU: what they are refused with, and how each finds its device.
struct DeviceCollectivesTests {
    private func settings(_ stages: [[GroupShape.Member]]) throws -> ExecutorSettings {
        var settings = ExecutorSettings(device: stages[0][0].device, lanes: 2, engineLibrary: "")
        settings.group = try GroupShape(stages)
        return settings
    }

    private func refusal(_ stages: [[GroupShape.Member]]) throws -> ApusError? {
        let settings = try settings(stages)
        return #expect(throws: ApusError.self) {
            try GroupExecutor.assemble(settings) { _ throws(ApusError) in throw ApusError(.engineFailure, "nothing is to be made") }
        }
    }

    @Test func `CUDA devices that share layers need NCCL, and its absence is told in a line before any device is taken`() throws {
        let error = #expect(throws: ApusError.self) { try DeviceCollectives(devices: [0, 1], library: "/nowhere/libnccl.so.2") }
        #expect(error?.code == .unsupportedPlan && error?.place == "/nowhere/libnccl.so.2")
        #expect(error?.message.contains("NCCL") == true && error?.message.contains("\n") == false && error?.advice?.contains("pipeline_parallel") == true)
    }

    @Test func `ranks of several kinds cannot share layers`() throws {
        let error = try refusal([[.init(DeviceID(.cuda, 0)), .init(DeviceID(.cpu, 0))]])
        #expect(error?.code == .unsupportedPlan && error?.message.contains("several kinds") == true)
        let other = try refusal([[.init(DeviceID(.webgpu, 0)), .init(DeviceID(.webgpu, 1))]])
        #expect(other?.code == .unsupportedPlan && other?.advice?.contains("pipeline_parallel") == true)
    }

    @Test func `a group's process sees exactly its GPUs, in the order of the ranks`() throws {
        let members = [3, 1, 2, 0].map { GroupShape.Member(DeviceID(.cuda, $0), uuid: "GPU-\($0)") }
        let group = try settings([[members[0], members[1]], [members[2], members[3]]])
        #expect(group.group?.visibleUUIDs == ["GPU-3", "GPU-1", "GPU-2", "GPU-0"])
        #expect(members.map { group.settings(of: $0).engineIndex } == [0, 1, 2, 3])
        #expect(members.map { group.settings(of: $0).onlyVisibleUUID } == ["GPU-3", "GPU-1", "GPU-2", "GPU-0"])
    }

    @Test func `where a UUID is not known all GPUs are seen by CUDA's own numbers`() throws {
        let members = [GroupShape.Member(DeviceID(.cuda, 3), uuid: "GPU-3"), GroupShape.Member(DeviceID(.cuda, 1))]
        let group = try settings([members])
        #expect(group.group?.visibleUUIDs == [] && members.map { group.settings(of: $0).engineIndex } == [3, 1])
    }
}
