package import ApusCheckpoint
package import ApusErrors
package import ApusExecution
import ApusTensor

/// The network of a checkpoint in segments of whole layers, cut where the heaviest segment is lightest.
package struct EncoderSegments: SegmentedNetwork {
    package let slices: [NetworkSlice]
    /// Bytes of each segment's weights as they are stored.
    package let bytes: [Int]
    private let checkpoint: Checkpoint
    private let encoder: EncoderConfiguration
    private let weights: WeightStore
    private let form: NetworkForm

    /// - Throws: `unsupported_plan` for less than one segment, more segments than layers, and a network that came as a file.
    package init(_ checkpoint: Checkpoint, _ form: NetworkForm, count: Int) throws(ApusError) {
        guard case .encoder(let encoder, let weights) = checkpoint.source else {
            throw ApusError(
                .unsupportedPlan, "the model is an ONNX file, whose network cannot be cut into segments", place: checkpoint.name,
                advice: "Leave segments and offload out for this model")
        }
        guard count >= 1, count <= encoder.layers else {
            throw ApusError(
                .unsupportedPlan, "\(count) segments cannot be made of \(encoder.layers) layers", place: checkpoint.name,
                advice: "Ask for 1 to \(encoder.layers) segments")
        }
        self.checkpoint = checkpoint
        self.encoder = encoder
        self.weights = weights
        self.form = form
        let layers = Self.layers(checkpoint)
        let cuts = Self.cut(layers, into: count)
        var slices: [NetworkSlice] = []
        for cut in cuts { slices.append(try NetworkSlice(layers: cut, layerCount: encoder.layers)) }
        self.slices = slices
        bytes = cuts.map { layers[$0].reduce(0, +) }
    }

    /// Bytes that each layer's weights have in the file: the embeddings with the first, the modules behind the network with the last. Empty for
    /// a network that came as a file.
    package static func layers(_ checkpoint: Checkpoint) -> [Int] {
        guard case .encoder(let encoder, let weights) = checkpoint.source else { return [] }
        var layers = [Int](repeating: 0, count: encoder.layers)
        for name in weights.names { layers[layer(of: name, in: encoder.layers) ?? 0] += weights[name]?.bytes.count ?? 0 }
        for case .dense(let dense) in checkpoint.modules { layers[encoder.layers - 1] += dense.weight.bytes.count }
        return layers
    }

    package var inputs: [ValueDescription] {
        var inputs: [EncoderInput] = [.inputIDs, .starts]
        if encoder.typeVocabularySize > 0 { inputs.append(.tokenTypeIDs) }
        return inputs.map { ValueDescription($0.rawValue, $0.elementType, $0.shape) }
    }

    package func graph(_ slice: NetworkSlice) throws(ApusError) -> DescribedGraph {
        let checkpoint = checkpoint
        let graph = try EncoderGraph.describe(encoder, weights, checkpoint.modules, form: form, slice: slice)
        return DescribedGraph(graph) { checkpoint.releaseMappedPages() }
    }

    package func chunks(of tensors: [String: HostTensor], atMost tokens: Int) throws(ApusError) -> [any SegmentChunk] {
        let conventions = EncoderGraph.conventions(encoder)
        var chunks: [EncoderChunk] = []
        var open: [EncoderBatch.Sequence] = []
        var longest = 0
        for sequence in try sequences(tensors) {
            let longer = max(longest, sequence.ids.count)
            let (padded, overflow) = longer.multipliedReportingOverflow(by: open.count + 1)
            if !open.isEmpty, overflow || padded > tokens {
                chunks.append(EncoderChunk(batch: EncoderBatch(open), conventions: conventions))
                (open, longest) = ([], 0)
            }
            open.append(sequence)
            longest = max(longest, sequence.ids.count)
        }
        if !open.isEmpty { chunks.append(EncoderChunk(batch: EncoderBatch(open), conventions: conventions)) }
        return chunks
    }

    /// The batch that the inputs of a step hold.
    private func sequences(_ tensors: [String: HostTensor]) throws(ApusError) -> [EncoderBatch.Sequence] {
        guard let ids = tensors[EncoderInput.inputIDs.rawValue]?.int32, let starts = tensors[EncoderInput.starts.rawValue]?.int32,
            starts.first == 0, starts.last.map(Int.init) == ids.count, zip(starts, starts.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw ApusError(.engineFailure, "these are no packed sequences of tokens", place: checkpoint.name) }
        let types = tensors[EncoderInput.tokenTypeIDs.rawValue]?.int32 ?? [Int32](repeating: 0, count: ids.count)
        guard types.count == ids.count else {
            throw ApusError(.engineFailure, "there are \(types.count) token types for \(ids.count) tokens", place: checkpoint.name)
        }
        return zip(starts, starts.dropFirst()).map { first, end in
            EncoderBatch.Sequence(ids: Array(ids[Int(first)..<Int(end)]), typeIDs: Array(types[Int(first)..<Int(end)]))
        }
    }

    /// The number behind `layer.` in a tensor's name.
    private static func layer(of name: String, in count: Int) -> Int? {
        let parts = name.split(separator: ".")
        guard let place = parts.firstIndex(of: "layer"), parts.indices.contains(place + 1), let layer = Int(parts[place + 1]),
            (0..<count).contains(layer)
        else { return nil }
        return layer
    }

    /// Cuts `weights` into `count` ranges, none of them empty, whose heaviest is as light as can be and whose others are about equal.
    package static func cut(_ weights: [Int], into count: Int) -> [Range<Int>] {
        var (low, high) = (weights.max() ?? 0, weights.reduce(0, +))
        while low < high {
            let middle = low + (high - low) / 2
            if fewest(weights[...], limit: middle) <= count { high = middle } else { low = middle + 1 }
        }
        var ranges: [Range<Int>] = []
        var start = 0
        var left = weights.reduce(0, +)
        for rangesLeft in stride(from: count, to: 0, by: -1) {
            var (end, sum) = (start, 0)
            while end < weights.count, weights.count - end >= rangesLeft {
                let longer = sum + weights[end]
                let isNearer = abs(left / rangesLeft - longer) < abs(left / rangesLeft - sum)
                let mustGrow = end == start || fewest(weights[end...], limit: low) > rangesLeft - 1
                guard mustGrow || isNearer && longer <= low && rangesLeft > 1 || rangesLeft == 1 else { break }
                (end, sum) = (end + 1, longer)
            }
            ranges.append(start..<end)
            (start, left) = (end, left - sum)
        }
        return ranges
    }

    /// Ranges that there are at least when none is heavier than `limit`, which the heaviest element is not.
    private static func fewest(_ weights: ArraySlice<Int>, limit: Int) -> Int {
        var (count, sum) = (weights.isEmpty ? 0 : 1, 0)
        for weight in weights {
            if sum + weight > limit { (count, sum) = (count + 1, 0) }
            sum += weight
        }
        return count
    }
}

/// Some of a batch's sequences, which make a batch of their own.
private struct EncoderChunk: SegmentChunk {
    let batch: EncoderBatch
    let conventions: EncoderConventions

    var sequences: Int { batch.count }

    func tensors(for inputs: [ValueDescription]) -> [String: HostTensor] {
        batch.tensors(for: inputs, conventions)
    }
}

extension HostTensor {
    fileprivate var int32: [Int32]? {
        if case .int32(let values) = elements { values } else { nil }
    }
}
