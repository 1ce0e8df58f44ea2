import ApusErrors
import ApusPlacement
import ApusTensor
import Testing

struct DegradationTests {
    private static func request(
        _ devices: [PlanDevice], _ wish: (inout ParallelWishes) -> Void = { _ in }
    ) throws -> PlanRequest {
        var wishes = ParallelWishes()
        wish(&wishes)
        return try PlanRequest(.miniLM(), on: devices, wishes: wishes)
    }

    private static func cuda(_ numbers: Int...) -> Set<DeviceID> { Set(numbers.map { DeviceID(.cuda, $0) }) }

    @Test func `a group moves to a spare device, then gets smaller, then is one device, then the CPU`() throws {
        let request = try Self.request(PlanDevice.several(.cuda, 5)) {
            $0.tensorParallel = 2
            $0.pipelineParallel = 2
        }
        #expect(try request.plan().description == "[[0,1],[2,3]]")
        var left = try request.degraded(without: Self.cuda(1))
        #expect(left.shape == PlanShape(tensor: 2, pipeline: 2) && left.steps.map(\.kind) == [.reallocated])
        #expect(left.steps[0].reason.contains("cuda:1 is lost") && left.steps[0].reason.contains("cuda:4"))
        left = try request.degraded(without: Self.cuda(1, 2))
        #expect(left.devices.count == 2 && left.steps.map(\.kind) == [.reduced])
        #expect(left.steps[0].reason.contains("in place of 2"))
        left = try request.degraded(without: Self.cuda(0, 1, 2, 3))
        #expect(left.description == "[[4]]" && left.steps.map(\.kind) == [.oneDevice])
        left = try request.degraded(without: Self.cuda(0, 1, 2, 3, 4))
        #expect(left.devices == [DeviceID(.cpu, 0)] && left.steps.map(\.kind) == [.cpu])
        #expect(try request.degraded(without: []) == request.plan())
    }

    @Test func `one of two groups that loses a device shrinks while the other stays`() throws {
        let request = try Self.request(PlanDevice.several(.cuda, 4)) { $0.tensorParallel = 2 }
        #expect(try request.plan().description == "[[[0,1]],[[2,3]]]")
        let left = try request.degraded(without: Self.cuda(3))
        #expect(left.description == "[[[0,1]],[[2]]]")
        // The pair computes twice as fast, and takes two thirds of the work: all are busy for as long.
        #expect(abs(left.balance - 1) < 1e-9)
        // A pair that lost one each makes one pair of what is left.
        let both = try request.degraded(without: Self.cuda(0, 3))
        #expect(both.shape == PlanShape(tensor: 2) && Set(both.devices) == Self.cuda(1, 2))
        #expect(both.steps.map(\.kind) == [.reallocated, .shrunk])
    }

    @Test func `a device that is too small for the whole model is no rung`() throws {
        let request = try Self.request(PlanDevice.several(.cuda, 2, memory: 70 << 20))
        #expect(try request.plan().strategy != .dataParallel)
        let left = try request.degraded(without: Self.cuda(0))
        #expect(left.devices == [DeviceID(.cpu, 0)])
        #expect(left.steps.map(\.kind) == [.cpu] && left.steps[0].reason.contains("no device that is left can hold the model"))
    }

    @Test func `an assigned model moves to another device`() throws {
        let request = try Self.request(PlanDevice.several(.cuda, 2)) { $0.modelAssignments = ["MiniLM": DeviceID(.cuda, 0)] }
        #expect(try request.degraded(without: Self.cuda(0)).description == "[[1]]")
    }

    @Test func `who forbids stand-ins is told that there is no device`() throws {
        for fallback in [ParallelWishes.Fallback.fail, .otherDevices] {
            let request = try Self.request(PlanDevice.several(.cuda, 3)) {
                $0.replicas = 1
                $0.fallback = fallback
            }
            let other = try? request.degraded(without: Self.cuda(0))
            #expect(other?.description == (fallback == .fail ? nil : "[[1]]"))
            do throws(ApusError) {
                _ = try request.degraded(without: Self.cuda(0, 1, 2))
                Issue.record("not refused")
            } catch {
                #expect(error.code == .noDevice && error.message.contains("cuda:0, cuda:1, cuda:2 are lost"))
            }
        }
    }
}
