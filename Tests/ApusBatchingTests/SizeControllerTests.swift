import ApusBatching
import Testing

@Suite struct SizeControllerTests {
    /// 95th percentile of seconds and answers per second in a part of a run.
    private struct Phase: CustomStringConvertible {
        var description: String { "(p95 \(p95), \(throughput)/s, busy \(busy))" }

        var p95: Double
        var throughput: Double
        var busy: Double
    }

    private static let phases = [(130.0, 0, 20), (390.0, 20, 40), (130.0, 40, 60)]

    /// Poisson-like arrivals of 130 a second, three times that, and 130 again, 20 s each, on one lane that runs 2 ms + 20 us a token.
    private func run(_ policy: BatchPolicy, device: Int = 8192) throws -> [Phase] {
        var random = SplitMix(state: 1)
        let plant = Plant(BatchPlanner(policy: policy)) { shape, _ in 2e-3 + 20e-6 * Double(shape.tokens + shape.padding) }
        plant.addLanes(1, tokenBudget: device)
        for (rate, from, to) in Self.phases {
            for _ in 0..<Int(rate * Double(to - from)) {
                plant.send([plant.item(random.length())], at: Int.random(in: ms(1000) * from..<ms(1000) * to, using: &random))
            }
        }
        plant.run(until: ms(70_000))
        return Self.phases.map { _, from, to in
            // The first five seconds of each phase are there to settle.
            let (start, end) = (ms(1000) * (from + 5), ms(1000) * to)
            let latencies = plant.latencies { _, time in time >= start && time < end }
            let batches = plant.batches.filter { $0.start >= start && $0.start < end }
            let answers = batches.reduce(0) { $0 + $1.ids.count }
            return Phase(
                p95: latencies.quantile(0.95), throughput: Double(answers) / Double(to - from - 5),
                busy: batches.reduce(0) { $0 + Double($1.end - $1.start) * 1e-9 } / Double(to - from - 5))
        }
    }

    @Test(arguments: [30, 50, 200]) func latencyFollowsTheTargetThroughALoadThatTriplesAndFallsBack(target: Int) throws {
        let phases = try run(try .adaptive(targetLatency: .milliseconds(target), maxBatchSize: 512))
        for (place, phase) in phases.enumerated() {
            #expect(phase.p95 <= 1.2e-3 * Double(target), "\(target) \(phases)")
            #expect(phase.throughput >= 0.9 * Self.phases[place].0, "\(target) \(phases)")
        }
    }

    /// The best fixed size, by the throughput that it keeps while latencies hold.
    @Test func theThroughputIsThatOfTheBestFixedSize() throws {
        let adaptive = try run(try .adaptive(targetLatency: .milliseconds(60), maxBatchSize: 512))
        var best = [0.0, 0, 0]
        for budget in [64, 128, 256, 512, 1024, 2048, 4096, 8192] {
            let fixed = try run(try .dynamic(maxBatchSize: 512, tokenBudget: budget))
            for (place, phase) in fixed.enumerated() where phase.p95 <= 1.2 * 0.06 { best[place] = max(best[place], phase.throughput) }
        }
        for place in 0..<3 {
            #expect(best[place] > 0)
            #expect(adaptive[place].throughput >= 0.9 * best[place], "\(adaptive) \(best)")
            #expect(adaptive[place].p95 <= 1.2 * 0.06, "\(adaptive)")
        }
    }

    /// One controller, fed by a lane that always has more to do than it can.
    private func settle(_ controller: inout SizeController, batches: Int, secondsPerToken: Double, latency: (Double) -> Double) {
        for _ in 0..<batches {
            let lengths = Array(repeating: 32, count: max(1, controller.budget / 32))
            let shape = BatchShape(lengths: lengths)
            let seconds = 1e-3 + secondsPerToken * Double(shape.tokens)
            let answered = lengths.map { _ in Int(latency(seconds) * 1e9) }
            controller.record(shape, nanoseconds: Int(seconds * 1e9), latencies: answered, inFlight: 0)
        }
    }

    @Test func aBudgetThatMakesAnswersLateShrinksAndGrowsBackWithinAHundredBatches() {
        var controller = SizeController(target: 0.05, most: 8192)
        #expect(controller.budget == 8192)
        settle(&controller, batches: 100, secondsPerToken: 25e-6) { 2 * $0 }
        // Two runs of 1.2 ms + 25 us a token within 50 ms are some 900 tokens.
        #expect(controller.budget > 650 && controller.budget < 1250)
        settle(&controller, batches: 100, secondsPerToken: 5e-6) { 2 * $0 }
        #expect(controller.budget > 3200 && controller.budget < 6200)
    }

    @Test func neitherEndIsPassed() {
        var controller = SizeController(target: 0.001, most: 4096)
        settle(&controller, batches: 500, secondsPerToken: 1e-3) { 2 * $0 }
        // One sequence's worth.
        #expect(controller.budget == 32)
        settle(&controller, batches: 500, secondsPerToken: 1e-9) { _ in 1e-6 }
        #expect(controller.budget == 4096)
        controller.setMost(512)
        #expect(controller.budget == 512)
    }

    /// Answers that are late because of the queue, and not because of their batch, do not make batches smaller.
    @Test func aLongQueueDoesNotMakeBatchesSmall() {
        var controller = SizeController(target: 0.05, most: 8192)
        settle(&controller, batches: 200, secondsPerToken: 25e-6) { 1 + $0 }
        let run = 1e-3 + 25e-6 * Double(controller.budget)
        #expect(run > 0.35 * 0.05 && run < 0.6 * 0.05)
    }

    @Test func aBatchThatAloneTakesLongerThanTheTargetIsNeverFormed() throws {
        var random = SplitMix(state: 9)
        let plant = Plant(BatchPlanner(policy: try .adaptive(targetLatency: .milliseconds(20), maxBatchSize: 512))) { shape, _ in
            1e-3 + 50e-6 * Double(shape.tokens + shape.padding)
        }
        plant.addLanes(1, tokenBudget: 1 << 16)
        for step in 0..<20 { plant.send([plant.item(20 + step)], at: ms(20) * step) }
        plant.send((0..<2000).map { _ in plant.item(random.length()) }, at: ms(1000))
        plant.run(until: ms(60_000))
        #expect(plant.answered.count == 2020)
        #expect(plant.batches.allSatisfy { $0.shape.count == 1 || $0.end - $0.start < ms(21) })
    }
}
