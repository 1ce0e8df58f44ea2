import ApusBatching
import Testing

@Suite struct CostModelTests {
    /// a + b tokens + c squares + d padding of a small encoder on two cores.
    private func seconds(_ shape: BatchShape) -> Double {
        1e-3 + 50e-6 * Double(shape.tokens) + 80e-9 * shape.squares + 40e-6 * Double(shape.padding)
    }

    private func shape(_ random: inout SplitMix) -> BatchShape {
        BatchShape(lengths: (0..<Int.random(in: 1...16, using: &random)).map { _ in random.length() })
    }

    @Test func knownCoefficientsAreRecoveredFromNoisyBatches() {
        var random = SplitMix(state: 1)
        var model = CostModel()
        for _ in 0..<1000 {
            let shape = shape(&random)
            model.observe(shape, seconds: seconds(shape) * (1 + 0.05 * random.normal()))
        }
        #expect(abs(model.fixed / 1e-3 - 1) < 0.25)
        #expect(abs(model.perToken / 50e-6 - 1) < 0.15)
        #expect(abs(model.perPadding / 40e-6 - 1) < 0.25)
        #expect(abs(model.perSquare / 80e-9 - 1) < 0.5)
        for _ in 0..<100 {
            let shape = shape(&random)
            #expect(abs(model.seconds(shape) / seconds(shape) - 1) < 0.1)
        }
        // The mean of |error| of a normal distribution is 0.8 deviations.
        let error = model.predictionError ?? 1
        #expect(error > 0.02 && error < 0.08)
    }

    @Test func aDeviceThatBecomesTwiceAsSlowIsFollowed() {
        var random = SplitMix(state: 2)
        var model = CostModel()
        for factor in [1.0, 2.0, 1.0] {
            for _ in 0..<200 {
                let shape = shape(&random)
                model.observe(shape, seconds: factor * seconds(shape) * (1 + 0.03 * random.normal()))
            }
            let typical = BatchShape(lengths: [20, 25, 30, 35, 40])
            #expect(abs(model.seconds(typical) / (factor * seconds(typical)) - 1) < 0.1)
        }
    }

    @Test func oneObservationMeansSecondsPerToken() {
        var model = CostModel()
        #expect(model.seconds(BatchShape(lengths: [10])) == 0)
        model.observe(BatchShape(lengths: [10]), seconds: 0.002)
        #expect(abs(model.seconds(BatchShape(lengths: [30])) - 0.006) < 1e-9)
    }

    @Test func batchesOfOneShapeArePredictedExactly() {
        var model = CostModel()
        let shape = BatchShape(lengths: [10, 12, 14])
        for _ in 0..<50 { model.observe(shape, seconds: 0.003) }
        #expect(abs(model.seconds(shape) - 0.003) < 1e-5)
        #expect((model.predictionError ?? 1) < 0.01)
    }

    @Test func anOutlierHardlyMatters() {
        var random = SplitMix(state: 3)
        var model = CostModel()
        for _ in 0..<200 {
            let shape = shape(&random)
            model.observe(shape, seconds: seconds(shape))
        }
        let typical = BatchShape(lengths: [20, 25, 30, 35, 40])
        let before = model.seconds(typical)
        model.observe(typical, seconds: 10 * seconds(typical))
        #expect(model.seconds(typical) < before * 1.15)
    }

    /// Full batches by the thousand say nothing about the fixed cost: what small ones said is not forgotten.
    @Test func theFixedCostOutlivesAThousandFullBatches() {
        var random = SplitMix(state: 4)
        var model = CostModel()
        for _ in 0..<300 {
            let shape = shape(&random)
            model.observe(shape, seconds: seconds(shape) * (1 + 0.03 * random.normal()))
        }
        let full = BatchShape(lengths: Array(repeating: 24, count: 16))
        for _ in 0..<1000 { model.observe(full, seconds: seconds(full) * (1 + 0.03 * random.normal())) }
        let single = BatchShape(lengths: [10])
        #expect(abs(model.seconds(single) / seconds(single) - 1) < 0.25)
        #expect(abs(model.seconds(full) / seconds(full) - 1) < 0.05)
    }

    @Test(arguments: 0..<50) func noCoefficientIsEverNegativeWhateverIsMeasured(seed: Int) {
        var random = SplitMix(state: UInt64(seed))
        var model = CostModel()
        for _ in 0..<300 {
            let shape = shape(&random)
            model.observe(shape, seconds: Double.random(in: 1e-7...10, using: &random))
            #expect(min(model.fixed, model.perToken, model.perSquare, model.perPadding) >= 0)
            #expect(model.seconds(shape).isFinite)
        }
    }

    @Test func whatIsNoMeasurementIsIgnored() {
        var model = CostModel()
        model.observe(BatchShape(lengths: [10]), seconds: 0.001)
        let before = model
        for seconds in [0, -1, .nan, .infinity] { model.observe(BatchShape(lengths: [10]), seconds: seconds) }
        model.observe(BatchShape(), seconds: 1)
        #expect(model == before)
    }

    @Test func theShapeOfABatchCountsPaddingToTheLongest() {
        let shape = BatchShape(lengths: [3, 5, 4, 5])
        #expect(shape == BatchShape(count: 4, tokens: 17, squares: 75, padding: 3))
        #expect(BatchShape(lengths: [Int]()) == BatchShape())
        #expect(BatchShape(lengths: [.max, .max]).tokens == .max)
    }
}
