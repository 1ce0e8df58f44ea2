package import ApusErrors

extension ONNXGraph {
    /// A place between two nodes where the network can be parted.
    package struct Cut: Sendable, Equatable {
        /// The tensor that the cut goes by: the last that is made in front of it.
        package let tensor: String
        /// Nodes in front of it.
        package let nodes: Int
        /// Tensors that cross it.
        package let crossing: Int
    }

    /// Nodes that follow each other, between two cuts.
    package struct Piece: Sendable, Equatable {
        package let nodes: Range<Int>
        /// Of the weights that are used in it first, as they are stored.
        package let bytes: Int
        /// The part of them that products read and not look-ups, which read a few rows.
        package let computedBytes: Int
        /// The cut behind it; nil for the last piece.
        package let cut: Cut?
    }

    /// More pieces than these say nothing more about where a network is best cut.
    private static let mostPieces = 64
    /// Values that follow from less than this share of the weights (masks, positions) may cross a cut beside the tensor that it goes by.
    private static let besideShare = 0.001

    /// Where one tensor alone separates what is in front of it from what follows, what little follows from the inputs directly left aside; in the
    /// order of the file. At most one fewer than 64, about equally far apart. Empty for files whose nodes are in no order.
    package var cuts: [Cut] {
        guard isOrdered, nodes.count > 1 else { return [] }
        let heavy = heavyValues()
        // How many begin or end to be alive in front of each node, and the sum of their numbers: where one is alive, the sum is its number.
        var changes = Array(repeating: (count: 0, sum: 0), count: nodes.count + 1)
        for (value, last) in lastUses.enumerated() {
            guard heavy[value], let maker = makers[value], !nodes[maker].isFixed, last > maker else { continue }
            changes[maker + 1].count += 1
            changes[maker + 1].sum += value
            changes[last + 1].count -= 1
            changes[last + 1].sum -= value
        }
        var (cuts, alive, sum, latest): ([Cut], Int, Int, Value?) = ([], 0, 0, nil)
        for node in 1..<nodes.count {
            alive += changes[node].count
            sum += changes[node].sum
            guard alive == 1, sum != latest else { continue }
            latest = sum
            cuts.append(cut(sum, nodes: node))
        }
        return thinned(cuts)
    }

    /// The cut behind the node that makes `tensor`.
    ///
    /// Throws `unsupported_plan`, with the nearest cut that works, for a tensor that the network does not make from its inputs, for one that nothing
    /// follows, and for files whose nodes are in no order.
    package func cut(behind tensor: String) throws(ApusError) -> Cut {
        func refusal(_ what: String, _ nearest: Cut?) -> ApusError {
            ApusError(
                .unsupportedPlan, "the network cannot be cut behind \(tensor.debugDescription): \(what)", place: path,
                advice: nearest.map { "The nearest cut that works is behind \($0.tensor.debugDescription)" })
        }
        guard isOrdered else { throw refusal("the file has nodes in front of those whose values they take", nil) }
        let cuts = cuts
        let bytes = Array(tensor.utf8)
        guard let value = names.firstIndex(of: bytes), makers[value] != nil || inputs.contains(where: { $0.value == value }) || weights[value] != nil else {
            throw refusal("the graph has no such tensor", Self.mostAlike(bytes, cuts))
        }
        guard let maker = makers[value], !nodes[maker].isFixed else {
            let what = weights[value] != nil || makers[value] != nil ? "it follows from weights alone" : "it is an input of the model, and nothing is computed in front of it"
            throw refusal(what, cuts.first)
        }
        let cut = cut(value, nodes: maker + 1)
        guard cut.crossing > 0, nodes[(maker + 1)...].contains(where: { !$0.isFixed }) else {
            throw refusal("nothing that is computed from it follows", cuts.last { $0.nodes <= maker } ?? cuts.last)
        }
        return cut
    }

    /// The cuts behind `tensors`, which must come one after the other. Throws `unsupported_plan`, with the nearest order that works.
    package func cuts(behind tensors: [String]) throws(ApusError) -> [Cut] {
        var cuts: [Cut] = []
        for tensor in tensors { cuts.append(try cut(behind: tensor)) }
        for (cut, next) in zip(cuts, cuts.dropFirst()) where cut.nodes >= next.nodes {
            let inOrder = cuts.sorted { $0.nodes < $1.nodes }.reduce(into: [Cut]()) { if $0.last?.nodes != $1.nodes { $0.append($1) } }
            let what = cut.nodes == next.nodes ? "nothing lies between them" : "\(next.tensor.debugDescription) is made first"
            throw ApusError(
                .unsupportedPlan, "the cuts behind \(cut.tensor.debugDescription) and \(next.tensor.debugDescription) overlap: \(what)", place: path,
                advice: "The nearest that works is \(inOrder.map { $0.tensor.debugDescription }.joined(separator: ", "))")
        }
        return cuts
    }

    /// What lies between the cuts, which are in order.
    package func pieces(_ cuts: [Cut]) -> [Piece] {
        var (pieces, start): ([Piece], Int) = ([], 0)
        var seen = Array(repeating: false, count: names.count)
        for end in cuts.map(\.nodes) + [nodes.count] {
            var (bytes, computed) = (0, 0)
            for number in start..<end where !nodes[number].isFixed {
                let own = nodes[number].takes.reduce(0) { $0.addingClamped(unseenBytes(of: $1, &seen)) }
                bytes = bytes.addingClamped(own)
                if !nodes[number].looksUp { computed = computed.addingClamped(own) }
            }
            let cut = pieces.count < cuts.count ? cuts[pieces.count] : nil
            pieces.append(Piece(nodes: start..<end, bytes: bytes, computedBytes: computed, cut: cut))
            start = end
        }
        return pieces
    }

    /// Values that nodes in front of `node` make from inputs and nodes from there on need, outputs of the model among them.
    func alive(at node: Int) -> [Value] {
        let kept = Set(outputs.map(\.value))
        return makers.indices.filter { value in
            guard let maker = makers[value], maker < node, !nodes[maker].isFixed else { return false }
            return lastUses[value] >= node || kept.contains(value)
        }
    }

    private func cut(_ value: Value, nodes count: Int) -> Cut {
        let crossing = lastUses.indices.count { value in
            guard let maker = makers[value], !nodes[maker].isFixed else { return false }
            return maker < count && lastUses[value] >= count
        }
        return Cut(tensor: name(value), nodes: count, crossing: crossing)
    }

    /// Values that more than a small share of the weights flows into.
    private func heavyValues() -> [Bool] {
        var flows = Array(repeating: 0.0, count: names.count)
        for (value, weight) in weights { flows[value] = Double(weight.byteCount) }
        for node in nodes where !node.readsShape {
            // What several ways lead from counts more than once, which only leaves fewer values aside.
            let sum = node.takes.reduce(0) { $0 + flows[$1] }
            for value in node.makes { flows[value] = min(sum, 1e300) }
        }
        let limit = Self.besideShare * weights.values.reduce(0) { $0 + Double($1.byteCount) }
        return flows.map { $0 > limit || limit == 0 }
    }

    /// As many cuts as there may be, at about equal steps of nodes and of weights.
    private func thinned(_ cuts: [Cut]) -> [Cut] {
        guard cuts.count >= Self.mostPieces else { return cuts }
        let pieces = pieces(cuts)
        let bytes = pieces.reduce(0) { $0 + Double($1.bytes) }
        var (kept, way, next) = ([Cut](), 0.0, 1.0)
        for piece in pieces {
            let nodeShare = Double(piece.nodes.count) / Double(nodes.count)
            way += bytes > 0 ? (Double(piece.bytes) / bytes + nodeShare) / 2 : nodeShare
            guard let cut = piece.cut, way * Double(Self.mostPieces) >= next else { continue }
            kept.append(cut)
            next = (way * Double(Self.mostPieces)).rounded(.down) + 1
        }
        return Array(kept.prefix(Self.mostPieces - 1))
    }

    /// Bytes of the weights that a value is or follows from, of those that were not counted before.
    private func unseenBytes(of value: Value, _ seen: inout [Bool]) -> Int {
        var (bytes, open) = (0, [value])
        while let next = open.popLast() {
            guard !seen[next] else { continue }
            if let weight = weights[next] {
                seen[next] = true
                bytes = bytes.addingClamped(weight.byteCount)
            } else if let maker = makers[next], nodes[maker].isFixed {
                seen[next] = true
                bytes = bytes.addingClamped(nodes[maker].place.count)
                open += nodes[maker].takes
            }
        }
        return bytes
    }

    /// The cut whose name has the longest beginning in common with `name`.
    private static func mostAlike(_ name: [UInt8], _ cuts: [Cut]) -> Cut? {
        func common(_ cut: Cut) -> Int { zip(name, cut.tensor.utf8).prefix { $0 == $1 }.count }
        return cuts.max { common($0) < common($1) }
    }
}

extension Int {
    func addingClamped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
