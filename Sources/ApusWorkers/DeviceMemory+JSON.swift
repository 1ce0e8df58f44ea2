package import ApusErrors
package import ApusExecution
package import ApusJSON

extension DeviceMemory {
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("allocated", allocatedBytes)
        json.member("reserved", reservedBytes)
        json.member("max_allocated", maxAllocatedBytes)
        json.member("total", totalBytes)
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        for key in ["allocated", "reserved", "max_allocated", "total"] where try json.integer(key) < 0 {
            throw ApusError(json.code, "bytes cannot be negative", place: json.place(of: key))
        }
        self.init(
            allocatedBytes: try json.integer("allocated"), reservedBytes: try json.integer("reserved"),
            maxAllocatedBytes: try json.integer("max_allocated"), totalBytes: try json.integer("total"))
    }
}
