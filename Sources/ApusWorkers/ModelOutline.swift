package import ApusErrors
package import ApusExecution
package import ApusJSON
import ApusTensor

/// What a front knows of a model that a worker has loaded.
package struct ModelOutline: Equatable, Sendable {
    package var inputs: [ValueDescription]
    package var outputs: [ValueDescription]
    package var assignment: NodeAssignment

    package init(inputs: [ValueDescription], outputs: [ValueDescription], assignment: NodeAssignment) {
        self.inputs = inputs
        self.outputs = outputs
        self.assignment = assignment
    }
}

extension ModelOutline {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.key("inputs")
        Self.write(inputs, to: &json)
        json.key("outputs")
        Self.write(outputs, to: &json)
        json.key("assignment")
        json.beginArray()
        for share in assignment.shares {
            json.beginObject()
            json.member("provider", share.provider)
            json.member("nodes", share.nodes)
            json.key("operators")
            json.beginArray()
            for name in share.operators { json.string(name) }
            json.endArray()
            json.endObject()
        }
        json.endArray()
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        var shares: [NodeAssignment.Share] = []
        for value in try json.array("assignment") {
            let share = try JSONReader(value, place: json.place(of: "assignment"), code: json.code)
            var operators: [String] = []
            for name in try share.array("operators") {
                operators.append(try name.stringValue(at: share.place(of: "operators"), code: json.code))
            }
            shares.append(.init(provider: try share.string("provider"), nodes: try share.integer("nodes"), operators: operators))
        }
        self.init(
            inputs: try Self.values(json, "inputs"), outputs: try Self.values(json, "outputs"), assignment: NodeAssignment(shares))
    }

    /// A dimension is its size, or its name.
    static func write(_ values: [ValueDescription], to json: inout JSONWriter) {
        json.beginArray()
        for value in values {
            json.beginObject()
            json.member("name", value.name)
            json.member("type", value.elementType.rawValue)
            json.key("shape")
            json.beginArray()
            for dimension in value.shape {
                switch dimension {
                case .fixed(let size): json.integer(size)
                case .symbolic(let name): json.string(name)
                }
            }
            json.endArray()
            json.endObject()
        }
        json.endArray()
    }

    static func values(_ json: JSONReader, _ key: String) throws(ApusError) -> [ValueDescription] {
        var values: [ValueDescription] = []
        for element in try json.array(key) {
            let value = try JSONReader(element, place: json.place(of: key), code: json.code)
            let number = try value.integer("type")
            guard let raw = Int32(exactly: number), let type = ElementType(rawValue: raw) else {
                throw ApusError(json.code, "\(number) is no element type", place: value.place(of: "type"))
            }
            var shape: [ValueDescription.Dimension] = []
            for dimension in try value.array("shape") {
                if case .string(let name) = dimension {
                    shape.append(.symbolic(name))
                } else {
                    shape.append(.fixed(try dimension.integerValue(at: value.place(of: "shape"), code: json.code)))
                }
            }
            values.append(ValueDescription(try value.string("name"), type, shape))
        }
        return values
    }
}
