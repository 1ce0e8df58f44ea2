import ApusBatching
import Testing

@Suite struct PaddingTests {
    /// A queue of `waiting` sequences that is refilled as it drains, on two lanes: parts of padding and of the budget that batches used.
    private func saturated(waiting: Int, budget: Int) throws -> (padding: Double, fill: Double, mean: Double) {
        var random = SplitMix(state: 7)
        let plant = Plant(BatchPlanner(policy: try BatchPolicy(maxBatchSize: 512, maxQueue: .seconds(3600)))) { shape, _ in
            1e-3 + 50e-6 * Double(shape.tokens + shape.padding)
        }
        plant.reply = { _, plant in [plant.item(random.length())] }
        plant.enqueue((0..<waiting).map { _ in plant.item(random.length()) })
        plant.addLanes(2, tokenBudget: budget)
        plant.run(until: ms(60_000))
        let tokens = plant.batches.reduce(0) { $0 + $1.shape.tokens }
        let padding = plant.batches.reduce(0) { $0 + $1.shape.padding }
        let sequences = plant.batches.reduce(0) { $0 + $1.shape.count }
        return (
            Double(padding) / Double(tokens + padding), Double(tokens) / Double(budget * plant.batches.count),
            Double(tokens) / Double(sequences)
        )
    }

    @Test(arguments: [(64, 384, 0.6), (200, 384, 0.75), (1000, 384, 0.75), (2000, 4096, 0.75)]) func aSaturatedQueuePadsLittleAndFillsItsBatches(
        waiting: Int, budget: Int, leastFill: Double
    ) throws {
        let result = try saturated(waiting: waiting, budget: budget)
        #expect(result.padding <= 0.035, "\(result)")
        #expect(result.fill >= leastFill, "\(result)")
    }

    @Test func aLaneThatComputesNoPaddingTakesLengthsAsTheyCome() throws {
        func launched(pads: Bool) throws -> [BatchPlanner.Action] {
            var planner = BatchPlanner(policy: try BatchPolicy(maxWait: .zero))
            _ = planner.addLane(0, device: 0, tokenBudget: 100, pads: pads, now: 0)
            _ = try planner.enqueue([.init(id: 0, tokens: 100)], now: 0)
            _ = try planner.enqueue([5, 90, 5, 90].enumerated().map { .init(id: 1 + $0.offset, tokens: $0.element) }, now: 1)
            return planner.laneFinished(0, now: 2)
        }
        #expect(try launched(pads: true) == [.launch(lane: 0, ids: [1, 3])])
        #expect(try launched(pads: false) == [.launch(lane: 0, ids: [1, 3, 2])])
    }

    @Test func theCeilingOfALaneThatComputesNoPaddingIsOfTokens() throws {
        func launched(pads: Bool) throws -> [BatchPlanner.Action] {
            var planner = BatchPlanner(policy: try BatchPolicy(maxWait: .zero))
            _ = planner.addLane(0, device: 0, tokenBudget: 1000, pads: pads, now: 0)
            planner.setCeiling(60, device: 0)
            _ = try planner.enqueue([.init(id: 0, tokens: 100)], now: 0)
            _ = try planner.enqueue([40, 10, 10, 1].enumerated().map { .init(id: 1 + $0.offset, tokens: $0.element) }, now: 1)
            return planner.laneFinished(0, now: 2)
        }
        // The seed alone is 40 long: two sequences padded to it are beyond 60.
        #expect(try launched(pads: true) == [.launch(lane: 0, ids: [1])])
        #expect(try launched(pads: false) == [.launch(lane: 0, ids: [1, 2, 3])])
    }

    @Test func fewWaitingSequencesRunTogetherAllTheSame() throws {
        var planner = BatchPlanner(policy: try BatchPolicy(maxWait: .zero))
        _ = planner.addLane(0, device: 0, now: 0)
        _ = try planner.enqueue([.init(id: 0, tokens: 5)], now: 0)
        _ = try planner.enqueue([4, 16, 40, 9].enumerated().map { .init(id: 1 + $0.offset, tokens: $0.element) }, now: 1)
        #expect(planner.laneFinished(0, now: 2) == [.launch(lane: 0, ids: [1, 4, 2, 3])])
    }
}
