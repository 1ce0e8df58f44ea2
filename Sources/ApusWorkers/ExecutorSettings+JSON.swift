package import ApusErrors
package import ApusExecution
package import ApusJSON
import ApusTensor

extension ExecutorSettings {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("device", device.description)
        if let onlyVisibleUUID { json.member("only_visible_uuid", onlyVisibleUUID) }
        if let visibleIndex { json.member("visible_index", visibleIndex) }
        json.member("lanes", lanes)
        if helpers > 0 { json.member("helpers", helpers) }
        json.key("cores")
        json.beginArray()
        for core in cores { json.integer(core) }
        json.endArray()
        json.member("engine_library", engineLibrary)
        if let providerLibrary { json.member("provider_library", providerLibrary) }
        if let memoryLimitBytes { json.member("memory_limit_bytes", memoryLimitBytes) }
        json.member("assignment", assignment.rawValue)
        if let tensorRT { json.member("tensorrt_cache_directory", tensorRT.cacheDirectory) }
        json.member("cuda_graphs", cudaGraphs.rawValue)
        json.member("tf32", tf32.rawValue)
        if let group {
            json.key("group")
            group.write(to: &json)
        }
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        var cores: [Int] = []
        for core in try json.array("cores") {
            cores.append(try core.integerValue(at: json.place(of: "cores"), code: json.code))
        }
        self.init(
            device: try json.device("device"), lanes: try json.integer("lanes"), cores: cores, engineLibrary: try json.string("engine_library"),
            providerLibrary: try json.optionalString("provider_library"),
            memoryLimitBytes: try json.optionalInteger("memory_limit_bytes"),
            assignment: try json.choice("assignment"),
            tensorRT: try json.optionalString("tensorrt_cache_directory").map { TensorRT(cacheDirectory: $0) },
            cudaGraphs: try json.choice("cuda_graphs"), tf32: try json.choice("tf32"))
        onlyVisibleUUID = try json.optionalString("only_visible_uuid")
        visibleIndex = try json.optionalInteger("visible_index")
        helpers = max(0, try json.optionalInteger("helpers") ?? 0)
        group = json.optional("group") != nil ? try GroupShape(reading: json, "group") : nil
    }
}

extension JSONReader {
    /// A value spelled as one of the cases of an enumeration.
    func choice<Choice: RawRepresentable<String>>(_ key: String) throws(ApusError) -> Choice {
        let text = try string(key)
        guard let choice = Choice(rawValue: text) else {
            throw ApusError(code, "'\(text)' is not among the values it can have", place: place(of: key))
        }
        return choice
    }
}
