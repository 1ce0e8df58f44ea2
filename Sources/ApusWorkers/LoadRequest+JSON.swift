package import ApusErrors
package import ApusExecution
package import ApusJSON
import ApusTensor

/// A model to be loaded, and the number that it will be named by.
package struct LoadOrder: Equatable, Sendable {
    package var number: UInt32
    package var request: LoadRequest

    package init(_ number: UInt32, _ request: LoadRequest) {
        self.number = number
        self.request = request
    }

    /// The payload of a `load` frame.
    package func encoded() -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("number", number)
        json.key("request")
        request.write(to: &json)
        json.endObject()
        return json.bytes
    }

    package init(reading json: JSONReader) throws(ApusError) {
        let number = try json.integer("number")
        guard let number = UInt32(exactly: number) else {
            throw ApusError(json.code, "\(number) cannot name a model", place: json.place(of: "number"))
        }
        self.init(number, try LoadRequest(reading: try json.reader("request")))
    }
}

extension LoadRequest {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("name", name)
        json.member("optimization", optimization.rawValue)
        if !stages.isEmpty {
            // Where each stage begins and ends.
            json.key("stages")
            json.beginArray()
            for bound in stages.flatMap({ [$0.lowerBound, $0.upperBound] }) { json.integer(bound) }
            json.endArray()
        }
        switch source {
        case .file(let path, let slice):
            json.member("file", path)
            if let slice {
                json.key("part")
                slice.write(to: &json)
            }
        case .checkpoint(let directory, let part):
            json.member("checkpoint", directory)
            switch part {
            case .network(let form, let slice):
                json.member("style", form.style.rawValue)
                json.member("precision", form.precision.rawValue)
                if let slice {
                    json.key("slice")
                    slice.write(to: &json)
                }
            case .segmented(let form, let segmentation):
                json.member("style", form.style.rawValue)
                json.member("precision", form.precision.rawValue)
                json.key("segmentation")
                segmentation.write(to: &json)
            case .pooling(let width): json.member("pooling_width", width)
            }
        }
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        let source: Source
        if let path = try json.optionalString("file") {
            var slice: FileSlice?
            if let part = try json.optionalReader("part") { slice = try FileSlice(reading: part) }
            source = .file(path, slice)
        } else if let width = try json.optionalInteger("pooling_width") {
            source = .checkpoint(directory: try json.string("checkpoint"), .pooling(width: width))
        } else {
            let form = try NetworkForm(try json.choice("style"), try json.choice("precision"))
            var slice: NetworkSlice?
            if let part = try json.optionalReader("slice") { slice = try NetworkSlice(reading: part) }
            var part = CheckpointPart.network(form, slice)
            if let segments = try json.optionalReader("segmentation") { part = .segmented(form, try Segmentation(reading: segments)) }
            source = .checkpoint(directory: try json.string("checkpoint"), part)
        }
        self.init(
            name: try json.string("name"), source: source, optimization: try json.choice("optimization"), stages: try Self.stages(json))
    }

    private static func stages(_ json: JSONReader) throws(ApusError) -> [Range<Int>] {
        var stages: [Range<Int>] = []
        var first: Int?
        for value in try json.optionalArray("stages") ?? [] {
            let bound = try value.integerValue(at: json.place(of: "stages"), code: json.code)
            guard let begin = first else {
                first = bound
                continue
            }
            guard begin <= bound else {
                throw ApusError(.unsupportedPlan, "layer \(begin) is behind layer \(bound)", place: json.place(of: "stages"))
            }
            stages.append(begin..<bound)
            first = nil
        }
        guard first == nil else { throw ApusError(json.code, "a stage has no end", place: json.place(of: "stages")) }
        return stages
    }
}

extension NetworkSlice {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("first_layer", layers.lowerBound)
        json.member("end_layer", layers.upperBound)
        json.member("layer_count", layerCount)
        json.member("rank", rank)
        json.member("ranks", ranks)
        json.member("group", group)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        let (first, end) = (try json.integer("first_layer"), try json.integer("end_layer"))
        guard first <= end else {
            throw ApusError(.unsupportedPlan, "layer \(first) is behind layer \(end)", place: json.place(of: "first_layer"))
        }
        try self.init(
            layers: first..<end, layerCount: try json.integer("layer_count"), rank: try json.integer("rank"),
            ranks: try json.integer("ranks"), group: try json.string("group"))
    }
}

extension FileSlice {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("first_node", nodes.lowerBound)
        json.member("end_node", nodes.upperBound)
        json.member("node_count", nodeCount)
        json.key("handed_on")
        ModelOutline.write(handedOn, to: &json)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        let (first, end) = (try json.integer("first_node"), try json.integer("end_node"))
        guard first <= end else {
            throw ApusError(.unsupportedPlan, "node \(first) is behind node \(end)", place: json.place(of: "first_node"))
        }
        try self.init(
            nodes: first..<end, nodeCount: try json.integer("node_count"), handedOn: try ModelOutline.values(json, "handed_on"))
    }
}

extension Segmentation {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("count", count)
        json.member("residency", residency.rawValue)
        json.member("chunk_tokens", chunkTokens)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        try self.init(
            count: try json.integer("count"), residency: try json.choice("residency"), chunkTokens: try json.integer("chunk_tokens"))
    }
}
