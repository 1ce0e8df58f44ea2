package import ApusExecution
package import ApusTensor

/// A batch of token sequences, laid out as the inputs of an encoder graph.
package struct EncoderBatch: Sendable {
    /// One sequence. `ids` and `typeIDs` are of equal length, at least 1.
    package struct Sequence: Sendable, Hashable {
        package var ids: [Int32]
        package var typeIDs: [Int32]

        package init(ids: [Int32], typeIDs: [Int32]) {
            self.ids = ids
            self.typeIDs = typeIDs
        }
    }

    package let sequences: [Sequence]
    /// Tokens of the longest sequence.
    package let longest: Int
    /// Tokens of all sequences.
    package let tokenCount: Int

    package init(_ sequences: [Sequence]) {
        self.sequences = sequences
        longest = sequences.reduce(0) { max($0, $1.ids.count) }
        tokenCount = sequences.reduce(0) { $0 + $1.ids.count }
    }

    /// Sequences in the batch.
    package var count: Int { sequences.count }

    /// Attention scores of one head over the padded batch, `B · S²`; as a Double because no size of it is dangerous.
    package var scoreCount: Double { Double(count) * Double(longest) * Double(longest) }

    /// The tensors for those of `inputs` that are encoder inputs, for rows packed without padding, in storage of `buffers`.
    package func tensors(
        for inputs: [ValueDescription], _ conventions: EncoderConventions, in buffers: SharedBuffers = .none
    ) -> [String: HostTensor] {
        tensors(for: inputs, conventions, firstRows: packedFirstRows, buffers)
    }

    /// The tensors for those of `inputs` that are encoder inputs, for rows that lie padded, `[B·S]`.
    package func paddedTensors(for inputs: [ValueDescription]) -> [String: HostTensor] {
        tensors(for: inputs, EncoderConventions(), firstRows: (0..<count).map { Int32($0 * longest) }, .none)
    }

    /// A padded `[B, S]` input of an ONNX file, as int64 or int32. Padding is 0.
    package func padded(_ input: PaddedInput, as type: ElementType) -> HostTensor {
        var elements: [Int32] = []
        elements.reserveCapacity(count * longest)
        for sequence in sequences {
            switch input {
            case .inputIDs: elements += sequence.ids
            case .tokenTypeIDs: elements += sequence.typeIDs
            case .attentionMask: elements += repeatElement(1, count: sequence.ids.count)
            }
            elements += repeatElement(0, count: longest - sequence.ids.count)
        }
        return HostTensor([count, longest], type == .int32 ? .int32(elements) : .int64(elements.map(Int64.init)))
    }

    private func tensors(
        for inputs: [ValueDescription], _ conventions: EncoderConventions, firstRows: [Int32], _ buffers: SharedBuffers
    ) -> [String: HostTensor] {
        var tensors: [String: HostTensor] = [:]
        for input in inputs {
            guard let known = EncoderInput(rawValue: input.name) else { continue }
            tensors[input.name] = tensor(known, conventions, firstRows, buffers)
        }
        return tensors
    }

    private func tensor(
        _ input: EncoderInput, _ conventions: EncoderConventions, _ firstRows: [Int32], _ buffers: SharedBuffers
    ) -> HostTensor {
        let rows = sequences.count
        switch input {
        case .inputIDs:
            return HostTensor([1, tokenCount], .int32(joined(\.ids, buffers)))
        case .tokenTypeIDs:
            return HostTensor([1, tokenCount], .int32(joined(\.typeIDs, buffers)))
        case .positionIDs:
            var positions: [Int32] = buffers.storage(for: tokenCount)
            for sequence in sequences {
                let first = conventions.positionOffset
                positions.append(contentsOf: first..<(first + Int32(sequence.ids.count)))
            }
            return HostTensor([1, tokenCount], .int32(positions))
        case .rowIndex:
            return HostTensor([rows, longest], .int32(padded(firstRows, buffers) { first, position in position.map { first + $0 } ?? first }))
        case .tokenIndex:
            var places: [Int32] = buffers.storage(for: tokenCount)
            for (row, sequence) in sequences.enumerated() {
                let first = Int32(row * longest)
                places.append(contentsOf: first..<(first + Int32(sequence.ids.count)))
            }
            return HostTensor([tokenCount], .int32(places))
        case .lastPosition:
            return HostTensor([rows], .int32(sequences.map { Int32($0.ids.count - 1) }))
        case .starts:
            return HostTensor([rows + 1], .int32(packedFirstRows + [Int32(tokenCount)]))
        case .longest:
            return HostTensor([], .int32([Int32(longest)]))
        case .scoreMask:
            return HostTensor([rows, 1, 1, longest], .float32(padded(firstRows, buffers) { _, position in position == nil ? -1e9 : 0 }))
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

    /// One member of all sequences, one sequence after the other.
    private func joined(_ member: KeyPath<Sequence, [Int32]>, _ buffers: SharedBuffers) -> [Int32] {
        var elements: [Int32] = buffers.storage(for: tokenCount)
        for sequence in sequences { elements += sequence[keyPath: member] }
        return elements
    }

    /// Row of each sequence's first token in the packed order.
    private var packedFirstRows: [Int32] {
        var next: Int32 = 0
        return sequences.map { sequence in
            defer { next += Int32(sequence.ids.count) }
            return next
        }
    }

    /// One element for each place of `[B, S]`; `position` is nil in the padding.
    private func padded<Element: PooledElement>(
        _ firstRows: [Int32], _ buffers: SharedBuffers, _ element: (_ first: Int32, _ position: Int32?) -> Element
    ) -> [Element] {
        var elements: [Element] = buffers.storage(for: sequences.count * longest)
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
