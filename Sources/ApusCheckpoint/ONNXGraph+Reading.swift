import ApusTensor

extension ONNXGraph {
    /// Deeper than the control flow of any real model.
    private static let depthLimit = 32
    /// Operators that draw without taking anything.
    private static let randomOperators = ["RandomNormal", "RandomUniform"].map { Array($0.utf8) }
    private static let shapeOperators = ["Shape", "Size"].map { Array($0.utf8) }
    private static let lookUpOperators = ["Gather", "EmbedLayerNormalization"].map { Array($0.utf8) }

    mutating func read() throws(ProtobufReader.Malformed) {
        var numbers: [[UInt8]: Value] = [:]
        var hasGraph = false
        var reader = ProtobufReader(file.bytes)
        while let (number, field, whole) = try reader.nextWhole() {
            guard number == 7 else {
                around.append(place(whole))
                continue
            }
            // A second one would have to be merged with the first.
            guard case .bytes(let graph) = field, !hasGraph else { throw ProtobufReader.Malformed() }
            hasGraph = true
            try readGraph(graph, &numbers)
        }
    }

    private mutating func readGraph(
        _ bytes: UnsafeRawBufferPointer, _ numbers: inout [[UInt8]: Value]
    ) throws(ProtobufReader.Malformed) {
        var reader = ProtobufReader(bytes)
        while let (number, field, whole) = try reader.nextWhole() {
            guard [1, 5, 11, 12, 13, 15].contains(number) else {
                rest.append(place(whole))
                continue
            }
            guard case .bytes(let content) = field else { throw ProtobufReader.Malformed() }
            switch number {
            case 1:
                try readNode(content, place(whole), &numbers)
            case 5:
                try readWeight(content, place(whole), &numbers)
            case 15:
                // A sparse tensor goes by the name of its values.
                guard let values = try Self.first(1, in: content) else { throw ProtobufReader.Malformed() }
                try readWeight(values, place(whole), &numbers)
            default:
                guard let name = try Self.first(1, in: content) else { throw ProtobufReader.Malformed() }
                let entry = Entry(value: value(name, &numbers), place: place(whole))
                switch number {
                case 11: inputs.append(entry)
                case 12: outputs.append(entry)
                default: descriptions.append(entry)
                }
            }
        }
    }

    private mutating func readNode(
        _ bytes: UnsafeRawBufferPointer, _ place: Range<Int>, _ numbers: inout [[UInt8]: Value]
    ) throws(ProtobufReader.Malformed) {
        var node = Node(place: place, takes: [], makes: [])
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            guard [1, 2, 4, 5].contains(number) else { continue }
            guard case .bytes(let content) = field else { throw ProtobufReader.Malformed() }
            switch number {
            case 1: if !content.isEmpty { node.takes.append(value(content, &numbers)) }
            case 2: if !content.isEmpty { node.makes.append(value(content, &numbers)) }
            case 4:
                node.isRandom = Self.randomOperators.contains { $0.elementsEqual(content) }
                node.readsShape = Self.shapeOperators.contains { $0.elementsEqual(content) }
                node.looksUp = Self.lookUpOperators.contains { $0.elementsEqual(content) }
            default: try readAttribute(content, &node.takes, &numbers, depth: 0)
            }
        }
        nodes.append(node)
    }

    /// Notes what the subgraphs of an attribute may take from the graph around them: all names in them that the graph around has, too.
    private mutating func readAttribute(
        _ bytes: UnsafeRawBufferPointer, _ takes: inout [Value], _ numbers: inout [[UInt8]: Value], depth: Int
    ) throws(ProtobufReader.Malformed) {
        guard depth < Self.depthLimit else { throw ProtobufReader.Malformed() }
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            guard number == 6 || number == 11 else { continue }
            guard case .bytes(let graph) = field else { throw ProtobufReader.Malformed() }
            var parts = ProtobufReader(graph)
            while let (number, field) = try parts.next() {
                guard number == 1 || number == 12 else { continue }
                guard case .bytes(let content) = field else { throw ProtobufReader.Malformed() }
                guard number == 1 else {
                    if let name = try Self.first(1, in: content) { takes.append(value(name, &numbers)) }
                    continue
                }
                var node = ProtobufReader(content)
                while let (number, field) = try node.next() {
                    guard number == 1 || number == 5 else { continue }
                    guard case .bytes(let content) = field else { throw ProtobufReader.Malformed() }
                    if number == 5 {
                        try readAttribute(content, &takes, &numbers, depth: depth + 1)
                    } else if !content.isEmpty {
                        takes.append(value(content, &numbers))
                    }
                }
            }
        }
    }

    private mutating func readWeight(
        _ bytes: UnsafeRawBufferPointer, _ place: Range<Int>, _ numbers: inout [[UInt8]: Value]
    ) throws(ProtobufReader.Malformed) {
        var (name, count, size, isExternal): (Value?, Int, Int, Bool) = (nil, 1, 1, false)
        func grow(by dimension: UInt64) {
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(clamping: dimension))
            count = overflow ? .max : product
        }
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            switch (number, field) {
            case (1, .number(let dimension)): grow(by: dimension)
            case (1, .bytes(let packed)):
                var dimensions = ProtobufReader(packed)
                while let dimension = try dimensions.nextNumber() { grow(by: dimension) }
            case (2, .number(let type)): size = Int32(exactly: type).flatMap(ElementType.init(rawValue:))?.byteCount ?? 1
            case (8, .bytes(let text)): name = value(text, &numbers)
            case (14, .number(let location)): isExternal = location != 0
            default: continue
            }
        }
        guard let name else { throw ProtobufReader.Malformed() }
        let (external, overflow) = count.multipliedReportingOverflow(by: size)
        weights[name] = Entry(value: name, place: place, byteCount: isExternal ? (overflow ? .max : external) : place.count)
    }

    private static func first(_ wanted: Int, in bytes: UnsafeRawBufferPointer) throws(ProtobufReader.Malformed) -> UnsafeRawBufferPointer? {
        var reader = ProtobufReader(bytes)
        while let (number, field) = try reader.next() {
            if number == wanted, case .bytes(let content) = field { return content }
        }
        return nil
    }

    private mutating func value(_ name: UnsafeRawBufferPointer, _ numbers: inout [[UInt8]: Value]) -> Value {
        let name = Array(name)
        if let known = numbers[name] { return known }
        names.append(name)
        numbers[name] = names.count - 1
        return names.count - 1
    }

    private func place(_ part: UnsafeRawBufferPointer) -> Range<Int> {
        guard let start = part.baseAddress, let whole = file.bytes.baseAddress else { return 0..<0 }
        return (start - whole)..<(start - whole + part.count)
    }
}
