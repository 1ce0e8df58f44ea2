package import ApusErrors
package import ApusExecution
package import ApusJSON
import ApusTensor

extension GroupShape {
    /// An array of stages, each an array of devices.
    package func write(to json: inout JSONWriter) {
        json.beginArray()
        for stage in stages {
            json.beginArray()
            for member in stage {
                json.beginObject()
                json.member("device", member.device.description)
                json.key("cores")
                json.beginArray()
                for core in member.cores { json.integer(core) }
                json.endArray()
                if let limit = member.memoryLimitBytes { json.member("memory_limit_bytes", limit) }
                if let uuid = member.uuid { json.member("uuid", uuid) }
                json.endObject()
            }
            json.endArray()
        }
        json.endArray()
    }

    /// - Parameter key: of `json`, under which the stages are.
    package init(reading json: JSONReader, _ key: String) throws(ApusError) {
        let place = json.place(of: key)
        var stages: [[Member]] = []
        for value in try json.array(key) {
            guard case .array(let values) = value else { throw ApusError(json.code, "a stage is a list of devices", place: place) }
            var stage: [Member] = []
            for value in values {
                let member = try JSONReader(value, place: place, code: json.code)
                var cores: [Int] = []
                for core in try member.array("cores") { cores.append(try core.integerValue(at: place, code: json.code)) }
                stage.append(
                    Member(
                        try member.device("device"), cores: cores, memoryLimitBytes: try member.optionalInteger("memory_limit_bytes"),
                        uuid: try member.optionalString("uuid")))
            }
            stages.append(stage)
        }
        try self.init(stages)
    }
}

extension JSONReader {
    func device(_ key: String) throws(ApusError) -> DeviceID {
        let name = try string(key)
        guard let device = DeviceID(name) else { throw ApusError(code, "'\(name)' is no device", place: place(of: key)) }
        return device
    }
}
