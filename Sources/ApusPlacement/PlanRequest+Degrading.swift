package import ApusErrors
package import ApusTensor

// What is left of a plan when devices are lost. A pure function of the request and the devices that are away: when one comes back, the same
// question without it gives the better plan again, and without any the plan that was wished for.
extension PlanRequest {
    /// The plan while `gone` are away, besides the devices that are unhealthy by the request itself.
    ///
    /// Replicas without a lost device stay as they are. For each of the others, in this order: a replica of the same shape on devices that are
    /// left, one on fewer devices, one on one device, none. When no replica is left the model runs on the CPU. ``Plan/steps`` tells each
    /// step. With the fallback `fail` no devices beside those of the plan step in, nor the CPU; with `other_devices` not the CPU.
    ///
    /// Throws `unsupported_plan` for what is impossible on all devices, `no_device` where nothing may take the place of those that are lost.
    package func degraded(without gone: Set<DeviceID>) throws(ApusError) -> Plan {
        let unhealthy = Set(devices.filter { $0.health == .unhealthy }.map(\.id))
        let base = try base(unhealthy)
        let lost = gone.union(unhealthy)
        let broken = base.replicas.filter { !lost.isDisjoint(with: $0.devices) }
        guard !broken.isEmpty else { return base }
        var kept = base.replicas.filter { lost.isDisjoint(with: $0.devices) }
        var steps: [Plan.Step] = []
        var pool = pool(beside: kept, broken, lost)
        var unplaced: [Plan.Replica] = []
        for replica in broken {
            let shape = replica.shape
            if let new = arrange(shape, on: pool)?.first {
                steps.append(step(.reallocated, replica, lost, "moves to \(Self.text(new))"))
                take(new, from: &pool, into: &kept)
            } else {
                unplaced.append(replica)
            }
        }
        for replica in unplaced {
            if let new = smaller(than: replica.shape, on: pool) {
                let kind: Plan.Step.Kind = new.devices.count == 1 ? .oneDevice : .reduced
                steps.append(step(kind, replica, lost, "goes on as \(Self.text(new))\(Self.change(replica.shape, new.shape))"))
                take(new, from: &pool, into: &kept)
            } else if !kept.isEmpty || unplaced.count + kept.count > 1 {
                steps.append(step(.shrunk, replica, lost, "is left out: \(Self.leftWords(pool)) cannot hold the model"))
            }
        }
        guard kept.isEmpty else { return plan(unshared(kept), reason: base.reason, steps: steps) }
        guard wishes.fallback == .cpu else {
            throw ApusError(
                .noDevice, "\(Self.list(lost)) \(lost.count == 1 ? "is" : "are") lost, no other device can hold \(model.name), and the CPU may not stand in",
                place: model.name, advice: "Take the fallback cpu, or add devices")
        }
        let cpu = devices.first { $0.id.kind == .cpu && !lost.contains($0.id) } ?? PlanDevice(DeviceID(.cpu, 0))
        steps.append(Plan.Step(.cpu, "\(Self.list(lost)) \(lost.count == 1 ? "is" : "are") lost and no device that is left can hold the model: it runs on \(cpu.id)"))
        return plan([wholeReplica(on: cpu)], reason: base.reason, steps: steps)
    }

    /// The plan that was wished for: of healthy devices where that is possible, else of all.
    private func base(_ unhealthy: Set<DeviceID>) throws(ApusError) -> Plan {
        let healthy = candidates.filter { !unhealthy.contains($0.id) }
        if healthy.count < candidates.count, !healthy.isEmpty, wishes.splits.isEmpty, let plan = try? wished(on: healthy) { return plan }
        return try wished(on: candidates)
    }

    /// Devices that may take the place of others.
    private func pool(beside kept: [Plan.Replica], _ broken: [Plan.Replica], _ lost: Set<DeviceID>) -> [PlanDevice] {
        let busy = Set(kept.flatMap(\.devices)).union(lost)
        let own = Set(broken.flatMap(\.devices))
        let order = candidates + devices.filter { device in !candidates.contains { $0.id == device.id } }
        return order.filter { device in
            !busy.contains(device.id) && (wishes.fallback != .fail || own.contains(device.id))
        }
    }

    private func take(_ replica: Plan.Replica, from pool: inout [PlanDevice], into kept: inout [Plan.Replica]) {
        pool.removeAll { replica.devices.contains($0.id) }
        kept.append(replica)
    }

    /// A replica of fewer devices, of as many as can be and then the fastest; of several single devices the fastest.
    private func smaller(than shape: PlanShape, on pool: [PlanDevice]) -> Plan.Replica? {
        guard let size = shape.groupSize, size > 1 else { return nil }
        for size in stride(from: min(size - 1, pool.count), through: 2, by: -1) {
            let (best, _) = fastest(on: pool, replicas: 1) { smaller in
                smaller.groupSize == size && smaller.tensor <= shape.tensor && smaller.pipeline <= shape.pipeline
            }
            if let replica = best?.replicas.first { return replica }
        }
        return holders(in: pool).max { $0.plannedSpeed < $1.plannedSpeed }.map { wholeReplica(on: $0) }
    }

    /// The replicas with the loads of each alone, as arranging gives them.
    private func unshared(_ replicas: [Plan.Replica]) -> [Plan.Replica] {
        replicas.map { replica in
            Plan.Replica(stages: replica.stages.map { part in stage(part.layers, on: part.ranks.compactMap { device($0.device) }) })
        }
    }

    private func step(_ kind: Plan.Step.Kind, _ replica: Plan.Replica, _ lost: Set<DeviceID>, _ what: String) -> Plan.Step {
        let own = lost.intersection(replica.devices)
        return Plan.Step(kind, "\(Self.list(own)) \(own.count == 1 ? "is" : "are") lost: \(Self.text(replica)) \(what)")
    }

    private static func text(_ replica: Plan.Replica) -> String {
        let stages = replica.stages.map { "[\($0.ranks.map(\.device.description).joined(separator: ","))]" }
        return "[\(stages.joined(separator: ","))]"
    }

    private static func change(_ old: PlanShape, _ new: PlanShape) -> String {
        let changes = [("tensor_parallel", old.tensor, new.tensor), ("pipeline_parallel", old.pipeline, new.pipeline)]
        let told = changes.filter { $0.1 != $0.2 }.map { "\($0.0) \($0.2) in place of \($0.1)" }
        return told.isEmpty ? "" : ", \(told.joined(separator: " and "))"
    }

    private static func list(_ devices: Set<DeviceID>) -> String {
        devices.sorted().map(\.description).joined(separator: ", ")
    }

    private static func leftWords(_ pool: [PlanDevice]) -> String {
        pool.isEmpty ? "the devices that are left" : pool.map(\.id.description).joined(separator: ", ")
    }
}

extension Plan.Replica {
    var shape: PlanShape { PlanShape(tensor: stages.map(\.ranks.count).max() ?? 1, pipeline: stages.count) }
}
