import ApusErrors
import ApusJSON
import ApusPlacement
import ApusTensor
import Testing

/// PAR-7: random models on 2 to 8 devices.
struct PlanPropertyTests {
    @Test func `every plan holds every layer once, divides exactly and stays within every device's memory`() throws {
        var numbers = SeededNumbers(1)
        var (planned, refused) = (0, 0)
        var strategies: [ParallelWishes.Strategy: Int] = [:]
        for _ in 0..<6_000 {
            let model = try NetworkOutline.random(&numbers)
            let devices = PlanDevice.random(&numbers, for: model)
            let topology = DeviceTopology.random(&numbers, devices), wishes = ParallelWishes.random(&numbers)
            let tokens = Int.random(in: 0...200, using: &numbers)
            do throws(ApusError) {
                let request = try PlanRequest(model, on: devices, topology: topology, wishes: wishes, tokens: tokens)
                let plan = try request.plan()
                planned += 1
                strategies[plan.strategy, default: 0] += 1
                #expect(plan.violations(of: request) == [])
                #expect(plan.steps.isEmpty)
                #expect(plan.shape.tensor == wishes.tensorParallel ?? plan.shape.tensor)
                #expect(plan.shape.pipeline == wishes.pipelineParallel ?? plan.shape.pipeline)
                #expect(plan.shape.replicas == wishes.replicas ?? plan.shape.replicas)
                #expect(plan.balance >= 1 - 1e-9 && plan.balance.isFinite)
                #expect(try request.plan() == plan)
            } catch {
                refused += 1
                #expect(error.code == .unsupportedPlan)
                #expect(error.message.contains { $0.isNumber } || error.message.contains("one device"))
            }
        }
        // The cases are of all sorts.
        #expect(planned > 1_500 && refused > 1_500)
        #expect(ParallelWishes.Strategy.allCases.filter { $0 != .automatic }.allSatisfy { strategies[$0, default: 0] > 50 })
    }

    @Test func `a refusal names a plan that works whenever there is one`() throws {
        var numbers = SeededNumbers(2)
        var (named, none) = (0, 0)
        for _ in 0..<2_000 {
            let model = try NetworkOutline.random(&numbers)
            let devices = PlanDevice.random(&numbers, for: model)
            var wishes = ParallelWishes()
            wishes.tensorParallel = Int.random(in: 1...7, using: &numbers)
            wishes.pipelineParallel = Int.random(in: 1...16, using: &numbers)
            do throws(ApusError) {
                _ = try PlanRequest(model, on: devices, wishes: wishes).plan()
            } catch {
                let advice = error.advice ?? ""
                let automatic = try? PlanRequest(model, on: devices).plan()
                if let sizes = Self.sizes(in: advice) {
                    named += 1
                    wishes.tensorParallel = sizes[0]
                    wishes.pipelineParallel = sizes[1]
                    wishes.replicas = sizes[2]
                    let plan = try PlanRequest(model, on: devices, wishes: wishes).plan()
                    #expect(advice.hasSuffix(": \(plan)"))
                } else {
                    none += 1
                    #expect(advice.hasPrefix("No plan works on cuda:0"))
                    #expect(automatic == nil)
                }
            }
        }
        #expect(named > 500 && none > 20)
    }

    /// The three numbers of `tensor_parallel 2, pipeline_parallel 3, replicas 1`.
    private static func sizes(in advice: String) -> [Int]? {
        let start = "The nearest plan that works is "
        guard advice.hasPrefix(start) else { return nil }
        let parts = advice.dropFirst(start.count).split(separator: ":")[0].split(separator: ",")
        let numbers = parts.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        return numbers.count == 3 ? numbers : nil
    }

    @Test func `the slowest stage is as fast as the best of all cuts and orders, tried one by one`() throws {
        var numbers = SeededNumbers(3)
        var compared = 0
        for _ in 0..<1_500 {
            let model = try NetworkOutline.random(&numbers)
            guard model.layers.count <= 9 else { continue }
            let devices = Array(PlanDevice.random(&numbers, for: model).prefix(4))
            var wishes = ParallelWishes()
            wishes.strategy = .pipeline
            wishes.pipelineParallel = devices.count
            guard devices.count <= model.layers.count else { continue }
            let best = Self.bestOfAllCuts(model, devices)
            let plan = try? PlanRequest(model, on: devices, wishes: wishes).plan()
            #expect((plan == nil) == (best == nil))
            guard let best, let plan else { continue }
            compared += 1
            let slowest = plan.replicas[0].stages.map { $0.ranks[0].load }.max() ?? 0
            #expect(abs(slowest - best) <= 1e-9 * best)
        }
        #expect(compared > 300)
    }

    /// The time of the slowest stage of the best cut, found by trying them all; nil where none fits.
    private static func bestOfAllCuts(_ model: NetworkOutline, _ devices: [PlanDevice]) -> Double? {
        func best(from layer: Int, on left: [PlanDevice]) -> Double? {
            if left.isEmpty { return layer == model.layers.count ? 0 : nil }
            var found: Double?
            guard layer < model.layers.count else { return nil }
            for end in layer + 1...model.layers.count {
                var bytes = model.layers[layer..<end].reduce(0) { $0 + $1.shardedBytes + $1.replicatedBytes }
                var cost = model.layers[layer..<end].reduce(0) { $0 + $1.cost }
                if layer == 0 { (bytes, cost) = (bytes + model.embedding.bytes, cost + model.embedding.cost) }
                if end == model.layers.count { (bytes, cost) = (bytes + model.head.bytes, cost + model.head.cost) }
                for (place, device) in left.enumerated() where bytes <= device.capacityBytes {
                    var rest = left
                    rest.remove(at: place)
                    guard let others = best(from: end, on: rest) else { continue }
                    found = min(found ?? .infinity, max(others, cost / device.speed))
                }
            }
            return found
        }
        return best(from: 0, on: devices)
    }

    @Test func `loads of equal devices differ by one layer at most`() throws {
        var numbers = SeededNumbers(4)
        var compared = 0
        for _ in 0..<4_000 {
            let model = try NetworkOutline.random(&numbers)
            let stages = Int.random(in: 2...8, using: &numbers)
            guard stages <= model.layers.count else { continue }
            var wishes = ParallelWishes()
            wishes.pipelineParallel = stages
            let plan = try PlanRequest(model, on: PlanDevice.several(.cuda, stages), wishes: wishes).plan()
            let loads = plan.replicas[0].stages.map { $0.ranks[0].load }
            // What stands before the first layer and behind the last cannot be parted from it.
            var items = model.layers.map(\.cost)
            items[0] += model.embedding.cost
            items[items.count - 1] += model.head.cost
            let spread = (loads.max() ?? 0) - (loads.min() ?? 0)
            #expect(spread <= (items.max() ?? 0) + 1e-9, "\(items) in \(loads)")
            compared += 1
        }
        #expect(compared > 1_500)
    }

    @Test func `replicas take work by their speed, so that all are busy for as long`() throws {
        var numbers = SeededNumbers(5)
        for _ in 0..<500 {
            let model = try NetworkOutline.random(&numbers)
            let devices = PlanDevice.random(&numbers, for: model).map { PlanDevice($0.id, speed: $0.speed) }
            let plan = try PlanRequest(model, on: devices).plan()
            #expect(plan.replicas.count == devices.count)
            #expect(abs(plan.balance - 1) < 1e-9)
        }
    }

    @Test func `every plan comes back from JSON as it was`() throws {
        var numbers = SeededNumbers(6)
        var compared = 0
        for _ in 0..<1_500 {
            let model = try NetworkOutline.random(&numbers)
            let devices = PlanDevice.random(&numbers, for: model)
            guard let request = try? PlanRequest(model, on: devices, wishes: .random(&numbers), tokens: 10),
                let plan = try? request.degraded(without: Set(devices.map(\.id).filter { _ in Int.random(in: 0..<4, using: &numbers) == 0 }))
            else { continue }
            var writer = JSONWriter()
            plan.write(to: &writer)
            #expect(try Plan(reading: JSONReader(JSONValue(parsing: writer.bytes))) == plan)
            compared += 1
        }
        #expect(compared > 300)
    }
}
