import ApusErrors
import ApusPlacement
import Testing

struct ReplicaScalingTests {
    private static let second = 1_000_000_000

    private static func limits(_ range: ClosedRange<Int>) throws -> ReplicaScaling.Limits {
        try ReplicaScaling.Limits(range, growAbove: 0.5, shrinkBelow: 0.05, growAfter: 2 * second, shrinkAfter: 60 * second)
    }

    /// What is decided each second, the queue and the work of that second given; replicas come and go at once.
    private static func actions(
        _ range: ClosedRange<Int>, from replicas: Int, healthy: Int = 8, seconds: Int, _ state: (Int, Int) -> (queued: Double, work: Double)
    ) throws -> [(second: Int, action: ReplicaScaling.Action)] {
        var scaling = ReplicaScaling(try limits(range))
        var replicas = replicas
        var actions: [(Int, ReplicaScaling.Action)] = []
        for time in 0..<seconds {
            let (queued, work) = state(time, replicas)
            let action = scaling.decide(
                .init(now: time * second, queuedSeconds: queued, admittedWork: work, replicas: replicas, healthyDevices: healthy))
            if action == .add { replicas += 1 }
            if action == .remove { replicas -= 1 }
            if action != .none { actions.append((time, action)) }
        }
        return actions
    }

    @Test func `a long queue has to last before a replica is added`() throws {
        let short = try Self.actions(1...4, from: 1, seconds: 60) { time, _ in (time % 3 < 2 ? 1 : 0.1, 1) }
        #expect(short.isEmpty)
        let long = try Self.actions(1...4, from: 1, seconds: 4) { _, _ in (1, 2) }
        #expect(long.map(\.second) == [2] && long.map(\.action) == [.add])
    }

    @Test func `it grows to the most replicas or healthy devices and no further`() throws {
        #expect(try Self.actions(1...4, from: 1, seconds: 100) { _, _ in (9, 9) }.map(\.action) == [.add, .add, .add])
        #expect(try Self.actions(1...4, from: 1, healthy: 2, seconds: 100) { _, _ in (9, 9) }.map(\.action) == [.add])
    }

    @Test func `a short queue has to last much longer before a replica is given back, and the least stay`() throws {
        let actions = try Self.actions(2...4, from: 4, seconds: 300) { _, _ in (0, 0) }
        #expect(actions.map(\.action) == [.remove, .remove])
        #expect(actions[0].second == 60 && actions[1].second >= 120)
        #expect(try Self.actions(1...4, from: 2, seconds: 300) { time, _ in (time % 50 == 0 ? 0.1 : 0, 0) }.isEmpty)
    }

    @Test func `replicas that admitted work needs are kept, however short the queue`() throws {
        #expect(try Self.actions(1...4, from: 3, seconds: 1_000) { _, _ in (0, 1.5) }.isEmpty)
        #expect(try Self.actions(1...4, from: 3, seconds: 1_000) { _, _ in (0, 1.3) }.map(\.action) == [.remove])
        // A burst within the quiet time counts, and is forgotten later.
        let burst = try Self.actions(1...4, from: 2, seconds: 130) { time, _ in (0, time == 30 ? 1.2 : 0.1) }
        #expect(burst.map(\.second) == [120] && burst.map(\.action) == [.remove])
        #expect(try Self.actions(1...4, from: 2, seconds: 1_000) { _, _ in (0, .nan) }.isEmpty)
    }

    @Test func `too few and too many replicas are put right at once`() throws {
        #expect(try Self.actions(3...4, from: 1, seconds: 2) { _, _ in (0, 0) }.map(\.action) == [.add, .add])
        #expect(try Self.actions(1...2, from: 4, seconds: 2) { _, _ in (0, 9) }.map(\.action) == [.remove, .remove])
    }

    @Test func `an action is not repeated before its effect is seen or given up`() throws {
        var scaling = ReplicaScaling(try Self.limits(1...4))
        var added: [Int] = []
        for time in 0..<200 {
            let action = scaling.decide(.init(now: time * Self.second, queuedSeconds: 5, admittedWork: 5, replicas: 1, healthyDevices: 4))
            if action == .add { added.append(time) }
        }
        #expect(added == [2, 124])
    }

    @Test func `limits that would flap are refused`() {
        #expect(throws: ApusError.self) { try ReplicaScaling.Limits(0...2) }
        #expect(throws: ApusError.self) { try ReplicaScaling.Limits(1...2, growAbove: 1, shrinkBelow: 0.6) }
        #expect(throws: ApusError.self) { try ReplicaScaling.Limits(1...2, growAbove: .nan) }
        #expect(throws: ApusError.self) { try ReplicaScaling.Limits(1...2, growAbove: .infinity) }
        #expect(throws: ApusError.self) { try ReplicaScaling.Limits(1...2, growAfter: 10, shrinkAfter: 10) }
    }

    /// A queue that is worked off by its replicas, under one steady load with random bursts and then another: 300 machines for two hours each.
    @Test func `no load makes it flap`() throws {
        var numbers = SeededNumbers(21)
        var (adds, removes) = (0, 0)
        for _ in 0..<300 {
            let most = Int.random(in: 1...8, using: &numbers), healthy = Int.random(in: 1...8, using: &numbers)
            let loads = [Double.random(in: 0...6, using: &numbers), Double.random(in: 0...6, using: &numbers)]
            let noise = Double.random(in: 0...0.3, using: &numbers)
            var queue = 0.0
            let actions = try Self.actions(1...most, from: 1, healthy: healthy, seconds: 7_200) { time, replicas in
                let work = loads[time / 3_600] * (1 + Double.random(in: -1...1, using: &numbers) * noise)
                // Admission refuses what would wait for more than ten seconds.
                let admitted = min(work, max(0, 10 * Double(replicas) - queue) + Double(replicas))
                queue = max(0, queue + admitted - Double(replicas))
                return (queue / Double(replicas), admitted)
            }
            adds += actions.count { $0.action == .add }
            removes += actions.count { $0.action == .remove }
            #expect(actions.count { $0.action == .add } <= most - 1 + actions.count { $0.action == .remove })
            for (before, after) in zip(actions, actions.dropFirst()) where after.action == .remove {
                #expect(after.second - before.second >= 60)
            }
            // Under a steady load it does not go up again once it went down, and in the end it is enough.
            for (hour, load) in loads.enumerated() {
                let own = actions.filter { $0.second / 3_600 == hour }
                #expect(zip(own, own.dropFirst()).count { $0.action == .remove && $1.action == .add } == 0, "\(loads) \(noise) \(actions)")
                let end = 1 + actions.filter { $0.second / 3_600 <= hour }.reduce(0) { $0 + ($1.action == .add ? 1 : -1) }
                #expect(Double(end) >= min(load, Double(min(most, healthy))) - 0.001)
            }
        }
        #expect(adds > 300 && removes > 100)
    }
}
