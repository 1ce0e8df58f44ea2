import ApusBatching
import Testing

/// What the planner does for those with deadlines while more comes than it can do.
@Suite struct LateWorkTests {
    /// Requests of `size` sequences, `overload` times what two lanes can do, for ten seconds, each with a deadline; the lanes become slower after
    /// five. The part of what they can do that was answered in time, after a second to learn.
    private func goodput(overload: Double, size: Int, deadline: Int, slowdown: Double) throws -> Double {
        var random = SplitMix(state: 11)
        let perToken = 50e-6
        let plant = Plant(BatchPlanner(policy: try BatchPolicy())) { shape, _ in 1e-3 + perToken * Double(shape.tokens) }
        plant.addLanes(2)
        let capacity = 2 * 384 / (1e-3 + perToken * 384) / 20
        let gap = Double(size) / (overload * capacity) * 1e9
        var requests: [(ids: [Int], due: Int)] = []
        var (time, seenExpired) = (0.0, 0)
        while time < 10e9 {
            time += gap
            plant.run(until: Int(time))
            if time > 5e9 { plant.cost = { shape, _ in slowdown * (1e-3 + perToken * Double(shape.tokens)) } }
            // Who lost one sequence gives up the others.
            for id in plant.expired[seenExpired...] {
                if let request = requests.last(where: { $0.ids.contains(id) }) { _ = plant.planner.cancel(request.ids) }
            }
            seenExpired = plant.expired.count
            let due = Int(time) + deadline
            let items = (0..<size).map { _ in plant.item(Int.random(in: 5...35, using: &random), deadline: due) }
            requests.append((items.map(\.id), due))
            plant.enqueue(items)
        }
        let good = requests.filter { request in
            request.due - deadline > ms(1_000) && request.ids.allSatisfy { plant.answered[$0].map { $0 <= request.due } ?? false }
        }
        return Double(good.count * size) / (capacity * (4 + 5 / slowdown))
    }

    @Test(arguments: [(2.0, 1, 1.0), (2.0, 8, 1.0), (10.0, 8, 1.0), (2.0, 8, 1.5)])
    func overloadDoesNotMakeEverybodyLate(overload: Double, size: Int, slowdown: Double) throws {
        let share = try goodput(overload: overload, size: size, deadline: ms(400), slowdown: slowdown)
        #expect(share >= 0.8, "\(share)")
    }
}
