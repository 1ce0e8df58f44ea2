import ApusErrors
import ApusExecution
import ApusTensor

/// Generated items and what a model makes of each alone, by which it proves itself where it is loaded.
struct TensorAnswer: Sendable {
    let items: [TensorItem]
    let outputs: [[HostTensor]]

    /// Items in a batch of a proof.
    private static let count = 2
    /// What is tried for axes whose size the model leaves open: short texts, small pictures, and the usual picture.
    private static let openSizes = [8, 64, 224]

    /// Runs generated items one by one, each alone in its batch, with the first size of open axes that the model takes. Throws what the model
    /// throws for all of them, and `engine_failure` when what it gives is not finite. Blocks.
    static func compute(_ work: TensorWork) throws(ApusError) -> TensorAnswer {
        let isOpen = work.signature.inputs.contains { $0.shape.contains(nil) }
        var failure = ApusError(.engineFailure, "no inputs could be generated: the shapes are too large")
        for size in isOpen ? openSizes : [1] {
            guard let items = items(work.signature, openSize: size) else { continue }
            do throws(ApusError) {
                var outputs: [[HostTensor]] = []
                for item in items { outputs += try work.run([item]) }
                guard outputs.joined().allSatisfy(\.isFinite) else {
                    throw ApusError(.engineFailure, "the model gave numbers that are not finite for generated inputs")
                }
                return TensorAnswer(items: items, outputs: outputs)
            } catch {
                failure = error
                // Another size makes no difference to a device that failed.
                if let kind = error.deviceFailure, kind != .engine { throw error }
            }
        }
        throw failure
    }

    /// The lowest cosine, over items and outputs, between this answer and what `work` gives for the same items in one batch; nil when shapes
    /// or lengths differ, or a result is not finite. Blocks.
    func lowestCosine(_ work: TensorWork) throws(ApusError) -> Double? {
        let answers = try work.run(items)
        var lowest = 1.0
        for (expected, answer) in zip(outputs.joined(), answers.joined()) {
            guard let cosine = expected.cosine(answer) else { return nil }
            lowest = min(lowest, cosine)
        }
        return lowest
    }

    /// Numbers between -1 and 1, and integers 0 and 1, which every vocabulary and mask has; nil when the model's shapes are beyond counting.
    private static func items(_ signature: TensorSignature, openSize: Int) -> [TensorItem]? {
        var numbers = SplitMix64()
        var items: [TensorItem] = []
        for _ in 0..<(signature.stacking == .together ? count : 1) {
            var tensors: [HostTensor] = []
            for input in signature.inputs {
                let shape = input.shape.map { $0 ?? openSize }
                guard let count = ElementCount.of(shape) else { return nil }
                let elements: HostTensor.Elements =
                    switch input.elementType {
                    case .int32: .int32((0..<count).map { _ in numbers.nextBit() })
                    case .int64: .int64((0..<count).map { _ in numbers.nextBit() })
                    default: .float32((0..<count).map { _ in numbers.nextUnit() })
                    }
                tensors.append(HostTensor(shape, elements))
            }
            items.append(TensorItem(tensors))
        }
        return items
    }
}

extension HostTensor {
    /// The elements as numbers that cosines are computed with.
    private var numbers: [Double] {
        switch elements {
        case .float32(let values): values.map(Double.init)
        case .int32(let values): values.map(Double.init)
        case .int64(let values): values.map(Double.init)
        }
    }

    fileprivate var isFinite: Bool { numbers.allSatisfy(\.isFinite) }

    /// Of the squared lengths of two answers that can be the same.
    private static let leastRatio = 0.9

    fileprivate func cosine(_ other: HostTensor) -> Double? {
        guard shape == other.shape, elementType == other.elementType else { return nil }
        var (dot, aa, bb) = (0.0, 0.0, 0.0)
        for (x, y) in zip(numbers, other.numbers) {
            dot += x * y
            aa += x * x
            bb += y * y
        }
        if aa == 0, bb == 0 { return 1 }
        // A cosine alone does not see a wrong factor.
        guard min(aa, bb) >= Self.leastRatio * max(aa, bb) else { return nil }
        let cosine = dot / (aa * bb).squareRoot()
        return cosine.isFinite ? cosine : nil
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the same numbers on every machine, so that an
/// answer computed on one device can be asked of another.
private struct SplitMix64 {
    private var state: UInt64 = 0x41_7075_73

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// From -1 and below 1.
    mutating func nextUnit() -> Float { Float(Int32(truncatingIfNeeded: next() >> 40) - (1 << 23)) / Float(1 << 23) }

    /// 1 three times out of four, so that no mask leaves everything out.
    mutating func nextBit<Integer: FixedWidthInteger>() -> Integer { next() >> 62 == 0 ? 0 : 1 }
}
