package import ApusErrors
package import ApusExecution
package import ApusJSON
import ApusTensor

extension GroupState {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("active_ns", activeNanoseconds)
        json.key("stages")
        json.beginArray()
        for stage in stages {
            json.beginArray()
            for member in stage {
                json.beginObject()
                json.member("device", member.device.description)
                json.member("busy_ns", member.busyNanoseconds)
                json.member("waited_ns", member.waitedNanoseconds)
                json.member("steps", member.steps)
                json.key("memory")
                member.memory.write(to: &json)
                json.endObject()
            }
            json.endArray()
        }
        json.endArray()
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        var stages: [[Member]] = []
        for value in try json.array("stages") {
            guard case .array(let values) = value else {
                throw ApusError(json.code, "a stage is a list of devices", place: json.place(of: "stages"))
            }
            var stage: [Member] = []
            for value in values {
                let member = try JSONReader(value, place: json.place(of: "stages"), code: json.code)
                stage.append(
                    Member(
                        try member.device("device"), memory: try DeviceMemory(reading: try member.reader("memory")),
                        busyNanoseconds: try member.integer("busy_ns"), waitedNanoseconds: try member.integer("waited_ns"),
                        steps: try member.integer("steps")))
            }
            stages.append(stage)
        }
        self.init(stages: stages, activeNanoseconds: try json.integer("active_ns"))
    }
}
