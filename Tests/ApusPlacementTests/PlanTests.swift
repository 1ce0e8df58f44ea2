import ApusErrors
import ApusPlacement
import ApusTensor
import Testing

struct PlanTests {
    private static let mebibyte = 1 << 20

    private static func plan(
        _ model: NetworkOutline, _ devices: [PlanDevice], tokens: Int = 0, topology: DeviceTopology = DeviceTopology(),
        _ wish: (inout ParallelWishes) -> Void = { _ in }
    ) throws -> Plan {
        var wishes = ParallelWishes()
        wish(&wishes)
        return try PlanRequest(model, on: devices, topology: topology, wishes: wishes, tokens: tokens).plan()
    }

    @Test func `four devices with two ranks and two stages are two pairs`() throws {
        let plan = try Self.plan(.miniLM(), PlanDevice.several(.cuda, 4)) {
            $0.tensorParallel = 2
            $0.pipelineParallel = 2
        }
        #expect(plan.description == "[[0,1],[2,3]]")
        #expect(plan.strategy == .hybrid)
        #expect(plan.replicas[0].stages.map(\.layers) == [0..<3, 3..<6])
    }

    @Test func `plans print as lists of stages, several replicas as a list of these, mixed kinds by their names`() throws {
        #expect(try Self.plan(.miniLM(), PlanDevice.several(.cpu, 1)).description == "[[0]]")
        #expect(try Self.plan(.miniLM(), PlanDevice.several(.cpu, 2)).description == "[[[0]],[[1]]]")
        let pairs = try Self.plan(.miniLM(), PlanDevice.several(.cpu, 4)) { $0.pipelineParallel = 2 }
        #expect(pairs.description == "[[[0],[1]],[[2],[3]]]")
        let mixed = [PlanDevice(DeviceID(.cuda, 0)), PlanDevice(DeviceID(.cpu, 0))]
        #expect(try Self.plan(.miniLM(), mixed) { $0.pipelineParallel = 2 }.description == "[[cuda:0],[cpu:0]]")
    }

    @Test func `MiniLM in two stages or two shards has half of its layers on each device, and the table on those that need it`() throws {
        let model = try NetworkOutline.miniLM()
        let layers = model.layers.reduce(0) { $0 + $1.shardedBytes + $1.replicatedBytes }
        let table = 4 * 384 * 31_038
        for (tensor, pipeline) in [(1, 2), (2, 1)] {
            let plan = try Self.plan(model, PlanDevice.several(.cpu, 2)) {
                $0.tensorParallel = tensor
                $0.pipelineParallel = pipeline
            }
            for device in plan.devices {
                let bytes = try #require(plan.bytes(on: device))
                #expect(Double(bytes.layers) <= 0.51 * Double(layers))
            }
            #expect(plan.bytes(on: DeviceID(.cpu, 0))?.embedding == table)
            #expect(plan.bytes(on: DeviceID(.cpu, 1))?.embedding == (tensor == 2 ? table : 0))
        }
    }

    @Test func `layers are parted by what they cost and not by their number`() throws {
        let costs = [8.0, 1, 1, 1, 1, 4]
        let model = try NetworkOutline(
            name: "uneven", layers: costs.map { NetworkOutline.Layer(shardedBytes: 10, cost: $0) }, widths: NetworkOutline.Widths(hidden: 8))
        let plan = try Self.plan(model, PlanDevice.several(.cpu, 2)) { $0.pipelineParallel = 2 }
        #expect(plan.replicas[0].stages.map(\.layers) == [0..<1, 1..<6])
        #expect(plan.balance == 1)
    }

    @Test func `a device that is twice as fast gets twice the layers, wherever it stands`() throws {
        let model = try NetworkOutline.miniLM()
        for fast in 0..<2 {
            let devices = (0..<2).map { PlanDevice(DeviceID(.cuda, $0), speed: $0 == fast ? 2 : 1) }
            let plan = try Self.plan(model, devices) { $0.pipelineParallel = 2 }
            let own = try #require(plan.replicas[0].stages.first { $0.ranks[0].device.index == fast })
            #expect(own.layers.count == 4)
            #expect(abs(plan.balance - 1) < 1e-12)
        }
    }

    @Test func `a throttled device counts half`() throws {
        let devices = [PlanDevice(DeviceID(.cuda, 0), health: .throttled), PlanDevice(DeviceID(.cuda, 1))]
        let plan = try Self.plan(.miniLM(), devices) { $0.pipelineParallel = 2 }
        let own = try #require(plan.replicas[0].stages.first { $0.ranks[0].device.index == 0 })
        #expect(own.layers.count == 2)
    }

    @Test func `a small device gets no more layers than it holds, though all are as fast`() throws {
        let model = try NetworkOutline.miniLM()
        let layer = model.layers[0].shardedBytes + model.layers[0].replicatedBytes
        let devices = [PlanDevice(DeviceID(.cuda, 0)), PlanDevice(DeviceID(.cuda, 1), memoryLimitBytes: 2 * layer + 5)]
        let plan = try Self.plan(model, devices) { $0.pipelineParallel = 2 }
        #expect(plan.replicas[0].stages.map(\.layers) == [0..<4, 4..<6])
        #expect(plan.description == "[[0],[1]]")
    }

    @Test func `free memory counts where it is less than the limit, and activations with the weights`() throws {
        let model = try NetworkOutline(
            name: "one", layers: [NetworkOutline.Layer(shardedBytes: 1_000, cost: 1)], widths: NetworkOutline.Widths(hidden: 8),
            activationBytesPerToken: 10)
        let device = PlanDevice(DeviceID(.cuda, 0), memoryLimitBytes: 5_000, freeBytes: 1_100)
        #expect(try Self.plan(model, [device], tokens: 10).bytes(on: device.id)?.total == 1_100)
        #expect(throws: ApusError.self) { try Self.plan(model, [device], tokens: 11) }
    }

    @Test func `eight stages of 32 batches are used for 82 percent of their time`() throws {
        var wishes = ParallelWishes()
        wishes.pipelineParallel = 8
        let request = try PlanRequest(.miniLM(layers: 12), on: PlanDevice.several(.cuda, 8), wishes: wishes, microBatches: 32)
        #expect(abs(try request.plan().utilization - 32.0 / 39) < 1e-12)
        #expect(try Self.plan(.miniLM(), PlanDevice.several(.cuda, 8)).utilization == 1)
    }

    // MARK: - What auto does

    @Test func `auto puts whole models side by side where one device holds one`() throws {
        let plan = try Self.plan(.miniLM(), PlanDevice.several(.cuda, 3))
        #expect(plan.strategy == .dataParallel && plan.replicas.count == 3)
        #expect(plan.reason.contains("a device holds the whole model"))
    }

    @Test func `auto leaves devices out that cannot hold the model, and says so`() throws {
        let devices = PlanDevice.several(.cuda, 2) + [PlanDevice(DeviceID(.cuda, 2), memoryLimitBytes: Self.mebibyte)]
        let plan = try Self.plan(.miniLM(), devices)
        #expect(plan.devices == [DeviceID(.cuda, 0), DeviceID(.cuda, 1)])
        #expect(plan.reason.contains("cuda:2 cannot hold the model"))
    }

    @Test func `auto parts a model that no device holds, and says what it weighs`() throws {
        let model = try NetworkOutline.miniLM(layers: 24)
        let plan = try Self.plan(model, PlanDevice.several(.cuda, 4, memory: 140 * Self.mebibyte))
        #expect(plan.shape.groupSize(is: 2) && plan.replicas.count == 2)
        #expect(plan.reason.contains("the largest device holds 140.0 MiB"))
    }

    @Test func `auto shares layers over NVLink and not through the host`() throws {
        // A table that costs nothing, so that a shard and a stage compute for as long.
        let model = try NetworkOutline.miniLM(layers: 24)
        let devices = PlanDevice.several(.cuda, 2, memory: 140 * Self.mebibyte)
        #expect(try Self.plan(model, devices).strategy == .pipeline)
        var linked = DeviceTopology()
        linked[DeviceID(.cuda, 0), DeviceID(.cuda, 1)] = .nvlink
        var wishes = ParallelWishes()
        wishes.strategy = .automatic
        // Two batches in flight keep two stages busy for two thirds of their time.
        let request = try PlanRequest(model, on: devices, topology: linked, wishes: wishes, microBatches: 2)
        let plan = try request.plan()
        #expect(plan.strategy == .tensor)
        #expect(plan.reason.contains("NVLink"))
    }

    @Test func `ranks of a group are those with the fastest links`() throws {
        var topology = DeviceTopology()
        topology[DeviceID(.cuda, 0), DeviceID(.cuda, 2)] = .nvlink
        topology[DeviceID(.cuda, 1), DeviceID(.cuda, 3)] = .nvlink
        let plan = try Self.plan(.miniLM(), PlanDevice.several(.cuda, 4), topology: topology) { $0.tensorParallel = 2 }
        #expect(plan.description == "[[[0,2]],[[1,3]]]")
    }

    // MARK: - What may be wished for

    @Test func `devices that are named are used in that order, and preferred ones before others`() throws {
        let devices = PlanDevice.several(.cuda, 4)
        let named = try Self.plan(.miniLM(), devices) { $0.deviceIDs = [DeviceID(.cuda, 3), DeviceID(.cuda, 1)] }
        #expect(named.description == "[[[3]],[[1]]]")
        let preferred = try Self.plan(.miniLM(), devices) {
            $0.preferredDevices = [DeviceID(.cuda, 2)]
            $0.replicas = 2
        }
        #expect(preferred.description == "[[[2]],[[0]]]")
    }

    @Test func `a model that is assigned to a device runs there alone, others do not`() throws {
        func assigned(_ name: String) throws -> Plan {
            try Self.plan(.miniLM(), PlanDevice.several(.cuda, 3)) { $0.modelAssignments = [name: DeviceID(.cuda, 2)] }
        }
        #expect(try assigned("MiniLM").description == "[[2]]")
        #expect(try assigned("MiniLM").reason.contains("assigned to cuda:2"))
        #expect(try assigned("other").replicas.count == 3)
    }

    @Test func `split points put layers where they say`() throws {
        let plan = try Self.plan(.miniLM(), PlanDevice.several(.cpu, 3)) {
            $0.splits = [SplitPoint(end: 1, device: DeviceID(.cpu, 2)), SplitPoint(end: 6, device: DeviceID(.cpu, 0))]
        }
        #expect(plan.description == "[[2],[0]]")
        #expect(plan.replicas[0].stages.map(\.layers) == [0..<1, 1..<6])
    }

    @Test(arguments: [
        (ParallelWishes.Strategy.none, "[[0]]"), (.dataParallel, "[[[0]],[[1]],[[2]],[[3]]]"), (.pipeline, "[[0],[1],[2],[3]]"),
        (.tensor, "[[0,1,2,3]]"), (.hybrid, "[[0,1],[2,3]]"),
    ])
    func `a strategy without figures takes as many devices as it can`(_ strategy: ParallelWishes.Strategy, _ text: String) throws {
        let plan = try Self.plan(.miniLM(layers: 12), PlanDevice.several(.cuda, 4)) { $0.strategy = strategy }
        #expect(plan.description == text)
        #expect(plan.strategy == strategy)
    }

    @Test func `an unhealthy device is not used while others do`() throws {
        var devices = PlanDevice.several(.cuda, 3)
        devices[0].health = .unhealthy
        let plan = try Self.plan(.miniLM(), devices) { $0.pipelineParallel = 2 }
        #expect(plan.description == "[[1],[2]]")
        #expect(plan.steps.isEmpty)
    }

    @Test func `an unhealthy device that is missed leaves a smaller plan that says so`() throws {
        var devices = PlanDevice.several(.cuda, 2)
        devices[0].health = .unhealthy
        let plan = try Self.plan(.miniLM(), devices) { $0.pipelineParallel = 2 }
        #expect(plan.description == "[[1]]")
        #expect(plan.steps.map(\.kind) == [.oneDevice])
    }
}

extension PlanShape {
    fileprivate func groupSize(is size: Int) -> Bool { tensor * pipeline == size }
}
