package import ApusErrors
package import ApusJSON
import ApusTensor

// How a plan goes to workers and to programs that ask for one.
extension Plan {
    private static let version = 1

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("version", Self.version)
        json.member("model", model)
        json.member("layers", layerCount)
        json.member("tokens", tokens)
        json.member("micro_batches", microBatches)
        json.member("reason", reason)
        json.key("steps")
        json.beginArray()
        for step in steps {
            json.beginObject()
            json.member("kind", step.kind.rawValue)
            json.member("reason", step.reason)
            json.endObject()
        }
        json.endArray()
        json.key("replicas")
        json.beginArray()
        for replica in replicas {
            json.beginArray()
            for stage in replica.stages { stage.write(to: &json) }
            json.endArray()
        }
        json.endArray()
        json.endObject()
    }

    /// Throws the reader's code for anything that ``write(to:)`` does not write: layers that a replica leaves out or holds twice, devices that
    /// are named twice, figures below zero.
    package init(reading json: JSONReader) throws(ApusError) {
        let version = try json.integer("version")
        guard version == Self.version else {
            throw ApusError(json.code, "version \(version) of plans is not read, only \(Self.version)", place: json.place(of: "version"))
        }
        let layerCount = try json.integer("layers")
        var replicas: [Replica] = []
        for (number, value) in try json.array("replicas").enumerated() {
            let place = "\(json.place(of: "replicas"))[\(number)]"
            var stages: [Stage] = []
            for (number, value) in try value.arrayValue(at: place, code: json.code).enumerated() {
                stages.append(try Stage(reading: try JSONReader(value, place: "\(place)[\(number)].", code: json.code)))
            }
            guard stages.first?.layers.lowerBound == 0, stages.last?.layers.upperBound == layerCount,
                zip(stages, stages.dropFirst()).allSatisfy({ $0.layers.upperBound == $1.layers.lowerBound })
            else { throw ApusError(json.code, "the stages do not hold each of \(layerCount) layers once", place: place) }
            replicas.append(Replica(stages: stages))
        }
        let devices = replicas.flatMap(\.devices)
        guard !replicas.isEmpty, Set(devices).count == devices.count else {
            throw ApusError(json.code, replicas.isEmpty ? "a plan has a replica" : "a device is named twice", place: json.place(of: "replicas"))
        }
        var steps: [Step] = []
        for (number, value) in try json.array("steps").enumerated() {
            let entry = try JSONReader(value, place: "\(json.place(of: "steps"))[\(number)].", code: json.code)
            let kind = try entry.string("kind")
            guard let kind = Step.Kind(rawValue: kind) else {
                throw ApusError(json.code, "\(kind.debugDescription) is no step of a plan", place: entry.place(of: "kind"))
            }
            steps.append(Step(kind, try entry.string("reason")))
        }
        let (tokens, microBatches) = (try json.integer("tokens"), try json.integer("micro_batches"))
        guard tokens >= 0, (1...1 << 20).contains(microBatches) else {
            throw ApusError(json.code, "\(tokens) tokens in \(microBatches) batches are impossible", place: json.place(of: "micro_batches"))
        }
        self.init(
            model: try json.string("model"), layerCount: layerCount, replicas: replicas, tokens: tokens, microBatches: microBatches,
            reason: try json.string("reason"), steps: steps)
    }
}

extension Plan.Stage {
    fileprivate func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("first_layer", layers.lowerBound)
        json.member("end_layer", layers.upperBound)
        json.key("ranks")
        json.beginArray()
        for rank in ranks {
            json.beginObject()
            json.member("device", rank.device.description)
            json.member("layer_bytes", rank.bytes.layers)
            json.member("embedding_bytes", rank.bytes.embedding)
            json.member("head_bytes", rank.bytes.head)
            json.member("activation_bytes", rank.bytes.activations)
            json.key("load")
            json.number(rank.load)
            json.endObject()
        }
        json.endArray()
        json.endObject()
    }

    fileprivate init(reading json: JSONReader) throws(ApusError) {
        let (start, end) = (try json.integer("first_layer"), try json.integer("end_layer"))
        guard start >= 0, start < end else {
            throw ApusError(json.code, "a stage from layer \(start) to layer \(end) has no layer", place: json.place(of: "end_layer"))
        }
        var ranks: [Plan.Rank] = []
        for (number, value) in try json.array("ranks").enumerated() {
            let entry = try JSONReader(value, place: "\(json.place(of: "ranks"))[\(number)].", code: json.code)
            let name = try entry.string("device")
            guard let device = DeviceID(name) else {
                throw ApusError(json.code, "\(name.debugDescription) is no device", place: entry.place(of: "device"))
            }
            func bytes(_ key: String) throws(ApusError) -> Int {
                let bytes = try entry.integer(key)
                guard bytes >= 0 else { throw ApusError(json.code, "\(bytes) bytes are impossible", place: entry.place(of: key)) }
                return bytes
            }
            let load = try entry.number("load")
            guard load >= 0 else { throw ApusError(json.code, "a load of \(load) is impossible", place: entry.place(of: "load")) }
            ranks.append(
                Plan.Rank(
                    device: device,
                    bytes: Plan.Bytes(
                        layers: try bytes("layer_bytes"), embedding: try bytes("embedding_bytes"), head: try bytes("head_bytes"),
                        activations: try bytes("activation_bytes")),
                    load: load))
        }
        guard !ranks.isEmpty else { throw ApusError(json.code, "a stage has a rank", place: json.place(of: "ranks")) }
        self.init(layers: start..<end, ranks: ranks)
    }
}
