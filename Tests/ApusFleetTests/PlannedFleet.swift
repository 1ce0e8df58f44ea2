import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusTensor
import Logging

/// Plans for logical CPU devices and a small model of six layers.
enum TestPlan {
    static func cpu(_ index: Int) -> DeviceID { DeviceID(.cpu, index) }

    /// - Parameter memory: bytes of each device; nil for plenty.
    static func plan(
        _ devices: Int, tensor: Int? = nil, pipeline: Int? = nil, replicas: Int? = nil, kind: DeviceID.Kind = .cpu, memory: Int? = nil,
        fallback: ParallelWishes.Fallback = .cpu, scaling: ReplicaScaling.Limits? = nil, patience: ParallelPlan.Patience = patience
    ) throws -> ParallelPlan {
        let layers = (0..<6).map { _ in NetworkOutline.Layer(shardedBytes: 6_000_000, replicatedBytes: 10_000, cost: 1) }
        let outline = try NetworkOutline(
            name: "scripted", layers: layers, embedding: .init(bytes: 40_000_000), widths: .init(heads: 12, feedForward: 1_536, hidden: 384))
        var wishes = ParallelWishes()
        wishes.tensorParallel = tensor
        wishes.pipelineParallel = pipeline
        wishes.replicas = replicas
        wishes.fallback = fallback
        if tensor == nil, pipeline == nil { wishes.strategy = .dataParallel }
        let all = (0..<devices).map { PlanDevice(DeviceID(kind, $0), freeBytes: memory) }
        return try ParallelPlan(try PlanRequest(outline, on: all, wishes: wishes), scaling: scaling, patience: patience)
    }

    /// Short enough for tests, in the same proportions as in earnest.
    static var patience: ParallelPlan.Patience {
        var patience = ParallelPlan.Patience()
        patience.hold = .milliseconds(200)
        patience.longestHold = .seconds(10)
        patience.look = .seconds(10)
        return patience
    }

    /// A fleet of these devices, which starts workers without delay.
    static func fleet(
        _ plan: ParallelPlan, _ source: any ExecutorSource, logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) throws -> Fleet {
        var restarts = RecoveryPolicy.Restarts()
        restarts.spacing = .milliseconds(1)
        restarts.backoffStart = .milliseconds(1)
        restarts.limit = 100
        var probes = RecoveryPolicy.Probes()
        probes.backoffStart = .milliseconds(1)
        let members = plan.request.devices.map { device in
            FleetPlan.Member(
                ExecutorSettings(device: device.id, lanes: 1, engineLibrary: "none"), info: GPUInfo(device: device.id, name: "scripted"))
        }
        let fleetPlan = try FleetPlan(members, policy: try RecoveryPolicy(restarts: restarts, probes: probes), parallel: plan)
        return Fleet(fleetPlan, source: source, logger: logger)
    }
}

extension Fleet {
    /// Waits until the units that serve are these; the limit of the suite is for what never comes.
    func serves(_ units: [[[DeviceID]]]) async {
        while true {
            let serving = status().plan?.units.filter { $0.state == .serving }.map(\.stages) ?? []
            if Set(serving) == Set(units), status().plan?.units.count == units.count { return }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }
}
