package import ApusExecution

/// A batch of token sequences, laid out as the inputs of an encoder graph.
package struct EncoderBatch: Sendable {
    /// One sequence. `ids` and `typeIDs` are of equal length, at least 1.
    package struct Sequence: Sendable {
        package var ids: [Int32]
        package var typeIDs: [Int32]

        package init(ids: [Int32], typeIDs: [Int32]) {
            self.ids = ids
            self.typeIDs = typeIDs
        }
    }

    let sequences: [Sequence]
    /// Tokens of the longest sequence.
    package let longest: Int
    /// Tokens of all sequences.
    package let tokenCount: Int

    package init(_ sequences: [Sequence]) {
        self.sequences = sequences
        longest = sequences.reduce(0) { max($0, $1.ids.count) }
        tokenCount = sequences.reduce(0) { $0 + $1.ids.count }
    }

    /// The tensors for those of `inputs` that are encoder inputs.
    package func tensors(for inputs: [ValueDescription], _ conventions: EncoderConventions) -> [String: HostTensor] {
        var tensors: [String: HostTensor] = [:]
        for input in inputs {
            guard let known = EncoderInput(rawValue: input.name) else { continue }
            tensors[input.name] = tensor(known, conventions)
        }
        return tensors
    }

    private func tensor(_ input: EncoderInput, _ conventions: EncoderConventions) -> HostTensor {
        let rows = sequences.count
        switch input {
        case .inputIDs:
            return HostTensor([1, tokenCount], .int32(sequences.flatMap(\.ids)))
        case .tokenTypeIDs:
            return HostTensor([1, tokenCount], .int32(sequences.flatMap(\.typeIDs)))
        case .positionIDs:
            return HostTensor([1, tokenCount], .int32(sequences.flatMap { sequence in
                (0..<sequence.ids.count).map { Int32($0) + conventions.positionOffset }
            }))
        case .rowIndex:
            return HostTensor([rows, longest], .int32(padded { first, position in position.map { first + $0 } ?? first }))
        case .tokenIndex:
            return HostTensor([tokenCount], .int32(sequences.indices.flatMap { row in
                (0..<sequences[row].ids.count).map { Int32(row * longest + $0) }
            }))
        case .lastPosition:
            return HostTensor([rows], .int32(sequences.map { Int32($0.ids.count - 1) }))
        case .longest:
            return HostTensor([], .int32([Int32(longest)]))
        case .scoreMask:
            return HostTensor([rows, 1, 1, longest], .float32(padded { _, position in position == nil ? -1e9 : 0 }))
        case .positionBuckets:
            return HostTensor([longest, longest], .int32(conventions.relativeBuckets.table(size: longest)))
        case .firstRow:
            return HostTensor([rows], .int32(firstRows))
        case .lastRow:
            return HostTensor([rows], .int32(zip(firstRows, sequences).map { $0 + Int32($1.ids.count) - 1 }))
        case .meanWeights:
            return weights { 1 / Float($0) }
        case .squareRootWeights:
            return weights { 1 / Float($0).squareRoot() }
        case .positionWeights:
            return weights { count, position in Float(position + 1) * 2 / (Float(count) * Float(count + 1)) }
        }
    }

    /// Row of each sequence's first token in the packed order.
    private var firstRows: [Int32] {
        var next: Int32 = 0
        return sequences.map { sequence in
            defer { next += Int32(sequence.ids.count) }
            return next
        }
    }

    /// One element for each place of `[B, S]`; `position` is nil in the padding.
    private func padded<Element>(_ element: (_ first: Int32, _ position: Int32?) -> Element) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(sequences.count * longest)
        for (first, sequence) in zip(firstRows, sequences) {
            for position in 0..<longest {
                elements.append(element(first, position < sequence.ids.count ? Int32(position) : nil))
            }
        }
        return elements
    }

    private func weights(_ weight: (_ count: Int) -> Float) -> HostTensor {
        weights { count, _ in weight(count) }
    }

    private func weights(_ weight: (_ count: Int, _ position: Int) -> Float) -> HostTensor {
        var elements = [Float](repeating: 0, count: sequences.count * longest)
        for (row, sequence) in sequences.enumerated() {
            for position in 0..<sequence.ids.count {
                elements[row * longest + position] = weight(sequence.ids.count, position)
            }
        }
        return HostTensor([sequences.count, longest, 1], .float32(elements))
    }
}
