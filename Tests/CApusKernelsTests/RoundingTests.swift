import CApusKernels
import Testing

/// Second-order rounding against its definition in Float64, and against rounding to the nearest.
@Suite struct RoundingTests {
    /// Moments of inputs that share a few common causes, as the inputs of a network's layers do.
    private static func moments(_ k: Int, _ noise: inout Noise, own: Double = 0.05) -> [Double] {
        let causes = 3
        let mix = noise.floats(k * causes).map(Double.init)
        var moments = [Double](repeating: 0, count: k * k)
        for row in 0..<k {
            for column in 0..<k {
                var sum = 0.0
                for cause in 0..<causes { sum += mix[row * causes + cause] * mix[column * causes + cause] }
                moments[row * k + column] = sum
            }
            moments[row * k + row] += own
        }
        return moments
    }

    private static func cost(_ difference: [Double], _ moments: [Double]) -> Double {
        let k = difference.count
        var cost = 0.0
        for row in 0..<k {
            for column in 0..<k { cost += difference[row] * moments[row * k + column] * difference[column] }
        }
        return cost
    }

    @Test(arguments: [1, 5, 32, 33, 70, 128])
    func theFactorMultipliesBackToTheMoments(k: Int) throws {
        var noise = Noise(7)
        let moments = Self.moments(k, &noise)
        var factor = moments
        var feedback = [Float](repeating: .nan, count: k * k)
        #expect(apus_rounding_feedback(&factor, Int64(k), &feedback) == APUS_OK)
        for row in 0..<k {
            for column in 0..<k {
                var product = 0.0
                for place in 0...min(row, column) { product += factor[place * k + row] * factor[place * k + column] }
                #expect(abs(product - moments[row * k + column]) < 1e-9)
                let share = column < row ? 0 : factor[row * k + column] / factor[row * k + row]
                #expect(abs(Double(feedback[row * k + column]) - share) < 1e-5)
            }
        }
    }

    @Test func integersAreThoseOfTheDefinitionAndCostLessThanTheNearest() throws {
        let (k, rows, block) = (70, 67, 32)
        var noise = Noise(11)
        let moments = Self.moments(k, &noise)
        let weight = noise.floats(rows * k)
        let scales = noise.floats(rows * 3).map { 0.1 + abs($0) * 0.05 }
        let order = (0..<k).map { Int32(($0 * 37) % k) }
        var ordered = [Double](repeating: 0, count: k * k)
        for row in 0..<k { for column in 0..<k { ordered[row * k + column] = moments[Int(order[row]) * k + Int(order[column])] } }
        var feedback = [Float](repeating: 0, count: k * k)
        #expect(apus_rounding_feedback(&ordered, Int64(k), &feedback) == APUS_OK)
        var out = [Int8](repeating: 99, count: rows * k)
        let scratch = KernelMemory(count: apus_rounding_scratch(Int64(k)))
        #expect(
            apus_round_rows(feedback, order, Int64(k), Int64(block), -8, 7, weight, scales, Int64(rows), &out, scratch.base) == APUS_OK)
        var (second, nearest) = (0.0, 0.0)
        for row in 0..<rows {
            var errors = [Double](repeating: 0, count: k)
            var (plain, chosen) = ([Double](repeating: 0, count: k), [Double](repeating: 0, count: k))
            for place in (0..<k).reversed() {
                let column = Int(order[place])
                let (value, scale) = (Double(weight[row * k + column]), Double(scales[row * 3 + column / block]))
                var wanted = value
                for other in (place + 1)..<k { wanted += Double(feedback[place * k + other]) * errors[other] }
                let integer = Double(out[row * k + column])
                let inRange = max(-8.0, min(7.0, wanted / scale))
                #expect(abs(integer - inRange) < 0.5001, "row \(row), column \(column)")
                errors[place] = value - integer * scale
                chosen[column] = errors[place]
                let closest = max(-8.0, min(7.0, (value / scale).rounded(.toNearestOrEven)))
                plain[column] = value - closest * scale
            }
            second += Self.cost(chosen, moments)
            nearest += Self.cost(plain, moments)
        }
        #expect(second < nearest / 2, "\(second) against \(nearest)")
        var alone = [Int8](repeating: 99, count: k)
        let last = Array(weight[((rows - 1) * k)...])
        #expect(
            apus_round_rows(feedback, order, Int64(k), Int64(block), -8, 7, last, Array(scales[((rows - 1) * 3)...]), 1, &alone, scratch.base)
                == APUS_OK)
        #expect(alone == Array(out[((rows - 1) * k)...]))
    }

    @Test func whatIsNoMatrixOfMomentsIsRefused() {
        var feedback = [Float](repeating: 0, count: 4)
        for wrong: [Double] in [[1, 2, 2, 1], [0, 0, 0, 0], [-1, 0, 0, 1], [.nan, 0, 0, 1], [1, .nan, .nan, 1], [.infinity, 0, 0, 1]] {
            var moments = wrong
            #expect(apus_rounding_feedback(&moments, 2, &feedback) == APUS_BAD_ARGUMENT, "\(wrong)")
        }
        var one = [1.0]
        #expect(apus_rounding_feedback(&one, 0, &feedback) == APUS_BAD_ARGUMENT)
        #expect(apus_rounding_feedback(&one, .max, &feedback) == APUS_BAD_ARGUMENT)
        #expect(apus_rounding_scratch(0) == 0 && apus_rounding_scratch(.max) == 0)
    }

    @Test func argumentsOutsideTheirRangesAreRefused() {
        let scratch = KernelMemory(count: apus_rounding_scratch(2))
        let (feedback, weight): ([Float], [Float]) = ([1, 0, 0, 1], [1, 2])
        var out: [Int8] = [5, 5]
        func code(_ order: [Int32] = [0, 1], k: Int64 = 2, block: Int64 = 2, from: Int32 = -8, to: Int32 = 7, rows: Int64 = 1) -> apus_result {
            apus_round_rows(feedback, order, k, block, from, to, weight, [1], rows, &out, scratch.base)
        }
        #expect(code([0, 2]) == APUS_BAD_ARGUMENT && code([-1, 0]) == APUS_BAD_ARGUMENT)
        #expect(code(k: 0) == APUS_BAD_ARGUMENT && code(block: 0) == APUS_BAD_ARGUMENT && code(rows: -1) == APUS_BAD_ARGUMENT)
        #expect(code(from: -129) == APUS_BAD_ARGUMENT && code(to: 128) == APUS_BAD_ARGUMENT && code(from: 3, to: 3) == APUS_BAD_ARGUMENT)
        #expect(out == [5, 5])
        #expect(code() == APUS_OK && out == [1, 2])
    }
}
