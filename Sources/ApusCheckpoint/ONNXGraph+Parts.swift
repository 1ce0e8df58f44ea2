package import ApusErrors
import ApusTensor

extension ONNXGraph {
    /// A value that earlier parts hand on, and what is known of its shape: nil for sizes that change from step to step.
    package struct Given: Sendable {
        package let passage: ONNXPassage
        package let shape: [Int?]

        package init(_ passage: ONNXPassage, shape: [Int?]) {
            self.passage = passage
            self.shape = shape
        }
    }

    /// The nodes in `range`, with those that compute from weights alone and that they need, as a model of their own in ONNX's encoding. The first
    /// part takes all inputs of the model; a part gives what later parts need, and the last one the outputs of the model.
    ///
    /// - Parameters:
    ///   - given: what earlier parts hand on.
    ///   - handingOn: how values cross that are not to cross as they are.
    /// - Throws: `unsupported_plan` for a range that is not one of the file's and for files whose nodes are in no order, `engine_failure` where
    ///   something is needed that earlier parts do not give.
    package func part(_ range: Range<Int>, given: [Given] = [], handingOn: [ONNXPassage] = []) throws(ApusError) -> [UInt8] {
        guard range.lowerBound >= 0, range.upperBound <= nodes.count, !range.isEmpty, isOrdered else {
            throw ApusError(
                .unsupportedPlan,
                isOrdered ? "nodes \(range.lowerBound) to \(range.upperBound) are no part of \(nodes.count)" : "the file has nodes in front of those whose values they take",
                place: path)
        }
        let isLast = range.upperBound == nodes.count
        let results = results(of: range)
        let needs = needs(of: results, in: range)
        let known = try passages(given, needs.earlier)
        defer { file.releasePages() }

        var graph = ProtobufWriter(capacity: needs.byteCount(of: self))
        for place in rest { copy(place, to: &graph) }
        for one in known where one.passage.isConverted { Self.convert(from: one.passage.name, to: one.passage.value, one.passage.type, in: &graph) }
        for number in needs.nodes { copy(nodes[number].place, to: &graph) }
        var crossings: [Value: ONNXPassage] = [:]
        if !isLast {
            for passage in handingOn where passage.isConverted {
                guard let value = results.first(where: { names[$0].elementsEqual(passage.value.utf8) }) else { continue }
                crossings[value] = passage
                Self.convert(from: passage.value, to: passage.name, passage.carrier, in: &graph)
            }
        }
        for value in needs.weights.sorted() { if let weight = weights[value] { copy(weight.place, to: &graph) } }
        for input in inputs where needs.weights.contains(input.value) || needs.inputs.contains(input.value) || isFirstInput(input, range) {
            copy(input.place, to: &graph)
        }
        for one in known { Self.declare(11, one.passage.name, one.passage.carrier, one.shape, in: &graph) }
        if isLast {
            for output in outputs { copy(output.place, to: &graph) }
        } else {
            for value in results { graph.put(12) { $0.put(1, crossings[value].map { Array($0.name.utf8) } ?? names[value]) } }
        }
        let made = Set(needs.nodes.flatMap { nodes[$0].makes }).subtracting(results)
        for description in descriptions where made.contains(description.value) { copy(description.place, to: &graph) }

        var model = ProtobufWriter(capacity: graph.bytes.count + around.reduce(64) { $0 + $1.count })
        for place in around { copy(place, to: &model) }
        model.put(7, graph.bytes)
        return model.bytes
    }

    /// Bytes of the weights that the nodes in `range` need, as they are stored; nil for all of the file. 0 for a range that is not one of the file's.
    package func weightBytes(of range: Range<Int>?) -> Int {
        defer { file.releasePages() }
        guard let range else { return weights.values.reduce(0) { $0.addingClamped($1.byteCount) } }
        guard range.lowerBound >= 0, range.upperBound <= nodes.count, !range.isEmpty, isOrdered else { return 0 }
        return needs(of: results(of: range), in: range).weights.reduce(0) { $0.addingClamped(weights[$1]?.byteCount ?? 0) }
    }

    /// What later parts need of what the nodes in `range` make; of the last part the outputs of the model.
    private func results(of range: Range<Int>) -> [Value] {
        range.upperBound == nodes.count
            ? outputs.map(\.value) : alive(at: range.upperBound).filter { makers[$0].map(range.contains) ?? false }
    }

    /// What a part needs beside what it gives.
    private struct Needs {
        /// In the order of the file.
        var nodes: [Int] = []
        var weights: Set<Value> = []
        var inputs: Set<Value> = []
        /// Made by earlier parts.
        var earlier: Set<Value> = []

        func byteCount(of graph: ONNXGraph) -> Int {
            nodes.reduce(0) { $0 + graph.nodes[$1].place.count } + weights.reduce(1024) { $0 + (graph.weights[$1]?.place.count ?? 0) }
        }
    }

    private func needs(of results: [Value], in range: Range<Int>) -> Needs {
        var needs = Needs()
        var (seen, numbers, open) = (Set<Value>(), Set<Int>(), results)
        let given = Set(inputs.map(\.value))
        while let value = open.popLast() {
            guard seen.insert(value).inserted else { continue }
            if weights[value] != nil {
                needs.weights.insert(value)
            } else if let maker = makers[value] {
                if nodes[maker].isFixed || range.contains(maker) {
                    if numbers.insert(maker).inserted { open += nodes[maker].takes }
                } else {
                    needs.earlier.insert(value)
                }
            } else if given.contains(value) {
                needs.inputs.insert(value)
            }
        }
        needs.nodes = numbers.sorted()
        return needs
    }

    /// Those of `given` that are needed.
    private func passages(_ given: [Given], _ needed: Set<Value>) throws(ApusError) -> [Given] {
        var known: [Given] = []
        for value in needed.sorted() {
            guard let one = given.first(where: { names[value].elementsEqual($0.passage.value.utf8) }) else {
                throw ApusError(.engineFailure, "no earlier part hands on \(name(value).debugDescription)", place: path)
            }
            known.append(one)
        }
        return known
    }

    /// Whether an input belongs to the first part although nothing there takes it: so that the inputs of all parts together are in the model's order.
    private func isFirstInput(_ input: Entry, _ range: Range<Int>) -> Bool { range.lowerBound == 0 && weights[input.value] == nil }

    private func copy(_ place: Range<Int>, to writer: inout ProtobufWriter) {
        writer.copy(UnsafeRawBufferPointer(rebasing: file.bytes[place]))
    }

    /// Adds a node that converts between element types, `Cast` with the attribute `to`.
    private static func convert(from source: String, to target: String, _ type: ElementType, in graph: inout ProtobufWriter) {
        graph.put(1) { node in
            node.put(1, source.utf8)
            node.put(2, target.utf8)
            node.put(4, "Cast".utf8)
            node.put(5) { attribute in
                attribute.put(1, "to".utf8)
                attribute.put(3, UInt64(UInt32(bitPattern: type.rawValue)))
                // AttributeProto.AttributeType.INT
                attribute.put(20, 2)
            }
        }
    }

    /// Adds a ValueInfoProto to the list that is field `field`. A shape without axes counts as not known: the engine tells a number and a tensor of any
    /// shape alike.
    private static func declare(_ field: Int, _ name: String, _ type: ElementType, _ shape: [Int?], in graph: inout ProtobufWriter) {
        graph.put(field) { value in
            value.put(1, name.utf8)
            value.put(2) { typeProto in
                typeProto.put(1) { tensor in
                    tensor.put(1, UInt64(UInt32(bitPattern: type.rawValue)))
                    guard !shape.isEmpty else { return }
                    tensor.put(2) { shapeProto in
                        for size in shape {
                            shapeProto.put(1) { if let size, size >= 0 { $0.put(1, UInt64(size)) } }
                        }
                    }
                }
            }
        }
    }
}
