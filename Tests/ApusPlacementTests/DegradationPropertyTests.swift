import ApusErrors
import ApusPlacement
import ApusTensor
import Testing

/// PAR-6, PAR-7: random plans whose devices fail one after the other.
struct DegradationPropertyTests {
    /// A random request that has a plan, and the plan.
    private static func planned(_ numbers: inout SeededNumbers, fallback: ParallelWishes.Fallback = .cpu) throws -> (PlanRequest, Plan) {
        while true {
            let model = try NetworkOutline.random(&numbers)
            let devices = PlanDevice.random(&numbers, for: model)
            var wishes = ParallelWishes.random(&numbers)
            wishes.fallback = fallback
            guard let request = try? PlanRequest(model, on: devices, topology: .random(&numbers, devices), wishes: wishes),
                let plan = try? request.plan()
            else { continue }
            return (request, plan)
        }
    }

    @Test func `whatever fails, a plan is left, and at the end it is the CPU`() throws {
        var numbers = SeededNumbers(11)
        var kinds: [Plan.Step.Kind: Int] = [:]
        for _ in 0..<1_200 {
            let (request, plan) = try Self.planned(&numbers)
            var gone: Set<DeviceID> = []
            for device in request.devices.map(\.id).shuffled(using: &numbers) {
                gone.insert(device)
                let left = try request.degraded(without: gone)
                for step in left.steps { kinds[step.kind, default: 0] += 1 }
                let isOnCPU = left.devices == [DeviceID(.cpu, 0)]
                #expect(left.violations(of: request, memory: isOnCPU ? .isIgnored : .isHeeded) == [])
                #expect(gone.isDisjoint(with: left.devices))
                #expect(left.steps.isEmpty == gone.isDisjoint(with: plan.devices))
                #expect(left.steps.allSatisfy { !$0.reason.isEmpty })
                #expect(left.steps.contains { $0.kind == .cpu } == isOnCPU)
                // Replicas that lost nothing stay where they are.
                for replica in plan.replicas where gone.isDisjoint(with: replica.devices) {
                    #expect(left.replicas.contains { $0.devices == replica.devices && $0.stages.map(\.layers) == replica.stages.map(\.layers) })
                }
                // Never more parallel than was wished for.
                #expect(left.shape.tensor <= plan.shape.tensor && left.shape.pipeline <= plan.shape.pipeline)
                #expect(left.replicas.count <= plan.replicas.count)
            }
            #expect(try request.degraded(without: gone).devices == [DeviceID(.cpu, 0)])
            #expect(try request.degraded(without: []) == plan)
        }
        #expect(Plan.Step.Kind.allCases.allSatisfy { kinds[$0, default: 0] > 30 }, "\(kinds)")
    }

    @Test func `plans of whole models only shrink where all devices are in use`() throws {
        var numbers = SeededNumbers(12)
        for _ in 0..<400 {
            let model = try NetworkOutline.random(&numbers)
            let devices = PlanDevice.several(.cuda, Int.random(in: 2...8, using: &numbers))
            let request = try PlanRequest(model, on: devices)
            var left = Set(devices.map(\.id))
            for device in devices.map(\.id).shuffled(using: &numbers).dropLast() {
                left.remove(device)
                let plan = try request.degraded(without: Set(devices.map(\.id)).subtracting(left))
                #expect(Set(plan.devices) == left && plan.shape == PlanShape(replicas: left.count))
                #expect(plan.steps.allSatisfy { $0.kind == .shrunk })
            }
        }
    }

    @Test func `with the fallback fail nothing beside the plan's own devices steps in, and the end is a refusal`() throws {
        var numbers = SeededNumbers(13)
        for _ in 0..<400 {
            let (request, plan) = try Self.planned(&numbers, fallback: .fail)
            var gone: Set<DeviceID> = []
            for device in plan.devices.shuffled(using: &numbers) {
                gone.insert(device)
                do throws(ApusError) {
                    let left = try request.degraded(without: gone)
                    #expect(Set(left.devices).isSubset(of: plan.devices) && gone.isDisjoint(with: left.devices))
                } catch {
                    #expect(error.code == .noDevice)
                }
            }
            #expect(throws: ApusError.self) { try request.degraded(without: gone) }
        }
    }
}
